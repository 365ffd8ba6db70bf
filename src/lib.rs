//! tritforge: a ternary transformer, from its file to hardware.
