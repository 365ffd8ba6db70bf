//! Chat templates: against Jinja's own output (tests/data/chat.json), and hostile ones against the limits.

use std::time::{Duration, Instant, UNIX_EPOCH};

use tritforge::model::chat::{ChatTemplate, Message};

fn messages() -> Vec<Message> {
    vec![Message::new("system", "Be brief."), Message::new("user", "Hello"), Message::new("assistant", "Hi"), Message::new("user", "Why?")]
}

fn render(source: &str) -> Result<String, String> {
    let template = ChatTemplate::parse(source, "<s>", "</s>").map_err(|error| error.to_string())?;
    template.render(&messages(), true).map_err(|error| error.to_string())
}

#[test]
fn templates_print_what_jinja_prints() {
    let data: serde_json::Value = serde_json::from_str(include_str!("data/chat.json")).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(data["now"].as_u64().unwrap());
    let cases = data["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 48);
    for case in cases {
        let name = case["template"].as_str().unwrap();
        let messages: Vec<Message> = serde_json::from_value(data["messages"][case["messages"].as_u64().unwrap() as usize].clone()).unwrap();
        let template = ChatTemplate::parse(data["templates"][name].as_str().unwrap(), "<s>", "</s>").unwrap();
        let found = template.render_at(&messages, case["add_generation_prompt"].as_bool().unwrap(), now);
        match case["text"].as_str() {
            Some(text) => assert_eq!(found.unwrap(), text, "{name}"),
            None => assert!(found.is_err(), "{name}: {found:?}"),
        }
    }
}

/// Templates that fill memory, time or the stack of an engine without limits.
#[test]
fn hostile_templates_are_refused_within_the_limits() {
    let deep = |open: &str| format!("{{{{ {}", open.repeat(5000));
    let cases = [
        "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}".into(),
        "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}".into(),
        "{% set ns = namespace(x='ab') %}{% for i in range(100) %}{% set ns.x = ns.x|replace('a', ns.x) %}{% endfor %}".into(),
        "{% set ns = namespace(x='ab') %}{% for i in range(100) %}{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}".into(),
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}"
            .into(),
        "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}".into(),
        "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}{{ ns.x }}".into(),
        "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}".into(),
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}".into(),
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns == ns }}".into(),
        "{% set ns = namespace() %}{% set ns.x = ns %}{{ {'a': 1}[ns] }}".into(),
        "{% set ns = namespace() %}{% for i in range(999) %}{% for j in range(999) %}{% set n = namespace() %}{% set n.x = ns.x %}\
         {% set ns.x = n %}{% endfor %}{% endfor %}"
            .into(),
        "{% for i in range(9999) %}{% for j in range(9999) %}{{ i }}{% endfor %}{% endfor %}".into(),
        "{% set l = range(9999)|list %}{% for i in range(9999) %}{{ l == l }}{% endfor %}".into(),
        "{% macro f(x) %}{{ f(x ~ x) }}{% endmacro %}{{ f('aaaa') }}".into(),
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}".into(),
        "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}".into(),
        "{{ 'a' * 1000000000 }}".into(),
        "{{ 'abc'|indent(1000000000) }}".into(),
        "{{ messages|tojson(indent=1000000000) }}".into(),
        "{{ (range(9999)|list)|map('string')|join('x' * 99999) }}".into(),
        "{% set ns = namespace(x=range(19000)|list) %}{% for i in range(28) %}{% set ns.x = [ns.x] %}{% endfor %}\
         {{ ns.x|tojson(indent=10000) }}"
            .into(),
        "{{ ('\u{1}' * 30000000)|tojson }}".into(),
        "{{ ['\u{1}' * 60000000] }}".into(),
        "{{ ('\"' * 60000000)|e }}".into(),
        "{{ ('a\n' * 500000)|indent(10000) }}".into(),
        "{{ ('a\n' * 500000)|indent(width=10000.0) }}".into(),
        "{{ ('a\n' * 500000)|indent(none, width=10000) }}".into(),
        "{{ strftime_now('x' * 1025) }}".into(),
        "{% set f = 'é' * 50000000 %}{% for i in range(9999) %}{{ f[99999999] }}{% endfor %}".into(),
        "{% set f = 'é' * 50000000 %}{% for i in range(9999) %}{% set x = f[-1] %}{% endfor %}".into(),
        "{% set f = 'a' * 50000000 %}{% for i in range(9999) %}{% set x = f is lower %}{% endfor %}".into(),
        "{% set l = range(9999)|list|reverse %}{% for i in range(9999) %}{% set x = l[9998] %}{% endfor %}".into(),
        "{% set f = 'é' * 60000000 %}{% for i in range(9999) %}{% for c in f %}{% break %}{% endfor %}{% endfor %}".into(),
        "{{ ('x' * 120000000)[:] }}".into(),
        "{{ ('x' * 120000000)[::-1] }}".into(),
        "{{ ('x' * 60000000)|list }}".into(),
        "{{ ('x' * 60000000)|batch(2) }}".into(),
        "{{ ('x' * 60000000)|unique }}".into(),
        "{{ ('x' * 60000000)|split('') }}".into(),
        "{{ ('x\n' * 30000000)|lines }}".into(),
        "{{ ('x' * 60000000).split('x') }}".into(),
        "{{ ('x\n' * 30000000).splitlines() }}".into(),
        "{% set f = 'x' * 16000 %}{% set g = 'y' * 16000 + 'x' %}{% for i in range(9999) %}{% set x = f.strip(g) %}{% endfor %}".into(),
        "{{ (['z' * 9999999] + range(9999)|list|map('string')|list)|reverse|max }}".into(),
        "{% include 'x' %}".into(),
        "{% block a %}{{ self.a() }}{% endblock %}".into(),
        format!("{{% set x %}}{}{{% endset %}}{{% for i in range(9999) %}}{{{{ x }}}}{{% endfor %}}", "a".repeat(100_000)),
        deep("("),
        deep("["),
        "{% if 1 %}".repeat(5000),
        "x".repeat((1 << 20) + 1),
    ];
    for case in cases {
        let start = Instant::now();
        let found = render(&case);
        let shown: String = case.chars().take(90).collect();
        assert!(found.is_err(), "{shown}: {} bytes", found.unwrap().len());
        // Far above what the limits allow, so that a busy machine passes.
        assert!(start.elapsed() < Duration::from_secs(20), "{shown}: {:?}", start.elapsed());
    }
}

#[test]
fn messages_name_the_line_and_the_fault() {
    let cases = [
        ("a\n\n{{ raise_exception('Only user roles') }}", "line 3", "the template refuses: Only user roles"),
        ("{{ a }}\n{% for %}", "line 2", "syntax error"),
        ("\n{{ messages[9].role }}", "line 2", "undefined value"),
        ("\n\n{{ 'a'|frobnicate }}", "line 3", "the filter 'frobnicate' is not known"),
        ("{{ 'a'.frobnicate() }}", "line 1", "the method 'frobnicate' is not known"),
        ("\n{% for m in messages recursive %}{% endfor %}", "line 2", "recursive loops are not supported"),
        ("\n\n{% for m in messages %}\n{{ m }}{{ 1 + 'a' }}{% endfor %}", "line 4", "'+' between number and string"),
        ("{{ strftime_now('%Q') }}", "line 1", "cannot print '%Q'"),
    ];
    for (source, line, fault) in cases {
        let error = render(source).unwrap_err();
        assert!(error.contains(line) && error.contains(fault), "{source}: {error}");
    }
}

#[test]
fn loops_run_and_end_as_those_of_jinja() {
    let source = "{% macro f(a) %}{% for c in a %}{% if c == 'l' %}{% break %}{% endif %}{{ c }}{% endfor %}{% endmacro %}\
                  {% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ f(m.content) }}{{ ',' if not loop.last }}{% endfor %}\
                  {% for x in [] or 'ab' %}<{{ x }}>{% endfor %}{% for x in [] %}{{ x }}{% else %}-{% endfor %}";
    assert_eq!(render(source).unwrap(), "He,Hi,Why?<a><b>-");
}

#[test]
fn slices_are_those_of_python() {
    let source = "{{ 'abcdef'[1:4] }} {{ 'abcdef'[-2:] }} {{ 'abc'[::-1] }} {{ [1, 2, 3, 4][::2] }} {{ [][::-1] }} {{ [1, 2, 3][5:0:-2] }} \
                  {{ 'abc'[:-9] }}|{{ 'äöü'[1:] }} {{ 'äöü'[-2:-1] }} {{ 'äöü'[2:1] }}|{{ ''[:] }}|{{ 'äöü'[::2] }} {{ 'abc'[9:] }}|{{ 'abc'[-9:9] }}";
    assert_eq!(render(source).unwrap(), "bcd ef cba [1, 3] [] [3] |öü ö ||äü |abc");
}
