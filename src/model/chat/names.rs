//! What a template may use, and the names of the functions that stand for it: no name of a template reads like them.

/// `a + b`.
pub const ADD: &str = "+";
/// `a * b`.
pub const MUL: &str = "*";
/// `a ~ b`.
pub const CONCAT: &str = "~";
/// `a in b`; the space keeps it apart from the test.
pub const IN: &str = "in ";
/// `a[b]`.
pub const ITEM: &str = "[i]";
/// `[a, b]`.
pub const LIST: &str = "[]";
/// `(a, b)`.
pub const TUPLE: &str = "()";
/// `{a: b}`.
pub const MAP: &str = "{}";
/// What `{% for %}` runs over.
pub const LOOP: &str = "for ";
/// `a[b:c:d]`.
pub const SLICE: &str = "[:]";

/// Filters that templates may use, each with the name of the function that guards it.
pub const FILTERS: [(&str, &str); 43] = [
    ("abs", "|abs"),
    ("batch", "|batch"),
    ("bool", "|bool"),
    ("capitalize", "|capitalize"),
    ("count", "|count"),
    ("d", "|d"),
    ("default", "|default"),
    ("dictsort", "|dictsort"),
    ("e", "|e"),
    ("escape", "|escape"),
    ("first", "|first"),
    ("float", "|float"),
    ("groupby", "|groupby"),
    ("indent", "|indent"),
    ("int", "|int"),
    ("items", "|items"),
    ("join", "|join"),
    ("last", "|last"),
    ("length", "|length"),
    ("lines", "|lines"),
    ("list", "|list"),
    ("lower", "|lower"),
    ("map", "|map"),
    ("max", "|max"),
    ("min", "|min"),
    ("reject", "|reject"),
    ("rejectattr", "|rejectattr"),
    ("replace", "|replace"),
    ("reverse", "|reverse"),
    ("round", "|round"),
    ("safe", "|safe"),
    ("select", "|select"),
    ("selectattr", "|selectattr"),
    ("slice", "|slice"),
    ("sort", "|sort"),
    ("split", "|split"),
    ("string", "|string"),
    ("sum", "|sum"),
    ("title", "|title"),
    ("tojson", "|tojson"),
    ("trim", "|trim"),
    ("unique", "|unique"),
    ("upper", "|upper"),
];
/// Tests, the same.
pub const TESTS: [(&str, &str); 29] = [
    ("boolean", "?boolean"),
    ("defined", "?defined"),
    ("divisibleby", "?divisibleby"),
    ("endingwith", "?endingwith"),
    ("eq", "?eq"),
    ("equalto", "?equalto"),
    ("even", "?even"),
    ("false", "?false"),
    ("float", "?float"),
    ("ge", "?ge"),
    ("gt", "?gt"),
    ("in", "?in"),
    ("integer", "?integer"),
    ("iterable", "?iterable"),
    ("le", "?le"),
    ("lower", "?lower"),
    ("lt", "?lt"),
    ("mapping", "?mapping"),
    ("ne", "?ne"),
    ("none", "?none"),
    ("number", "?number"),
    ("odd", "?odd"),
    ("sameas", "?sameas"),
    ("sequence", "?sequence"),
    ("startingwith", "?startingwith"),
    ("string", "?string"),
    ("true", "?true"),
    ("undefined", "?undefined"),
    ("upper", "?upper"),
];
/// Methods, the same.
pub const METHODS: [(&str, &str); 28] = [
    ("capitalize", ".capitalize"),
    ("count", ".count"),
    ("endswith", ".endswith"),
    ("find", ".find"),
    ("get", ".get"),
    ("isalnum", ".isalnum"),
    ("isalpha", ".isalpha"),
    ("isascii", ".isascii"),
    ("isdigit", ".isdigit"),
    ("islower", ".islower"),
    ("isnumeric", ".isnumeric"),
    ("isspace", ".isspace"),
    ("isupper", ".isupper"),
    ("items", ".items"),
    ("join", ".join"),
    ("keys", ".keys"),
    ("lower", ".lower"),
    ("lstrip", ".lstrip"),
    ("replace", ".replace"),
    ("rfind", ".rfind"),
    ("rstrip", ".rstrip"),
    ("split", ".split"),
    ("splitlines", ".splitlines"),
    ("startswith", ".startswith"),
    ("strip", ".strip"),
    ("title", ".title"),
    ("upper", ".upper"),
    ("values", ".values"),
];
/// Filters and methods that make many values of one text, or a text several times as long.
pub const PARTS: [&str; 21] = [
    "batch",
    "dictsort",
    "e",
    "escape",
    "groupby",
    "items",
    "join",
    "lines",
    "list",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "splitlines",
    "unique",
];
/// Filters that compare values with each other.
pub const COMPARED: [&str; 5] = ["dictsort", "groupby", "max", "min", "sort"];
/// Filters and methods that look for each character of a text in a set.
pub const STRIPPED: [&str; 4] = ["lstrip", "rstrip", "strip", "trim"];
/// Filters that `map` may apply to each element: those whose result is no longer than a few times the element.
pub const MAPPED: [&str; 11] = ["trim", "upper", "lower", "string", "int", "float", "title", "capitalize", "length", "first", "last"];
