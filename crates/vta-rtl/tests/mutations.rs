//! The list of deliberate bugs fits the hardware, and co-simulation tells a bug from none; `vta mutate` tries
//! all of the list out.

use vta_rtl::{DifferenceKind, RtlModel, SOURCES, mutations, parse_mutations, try_mutations};

#[test]
fn every_file_has_two_that_fit_it() {
    let mutations = mutations().unwrap_or_else(|error| panic!("{error}"));
    for mutation in &mutations {
        mutation.check().unwrap_or_else(|error| panic!("{error}"));
    }
    for (file, _) in SOURCES {
        let count = mutations.iter().filter(|m| m.file == *file).count();
        assert!(count >= 2, "{file}: {count}");
    }
}

#[test]
fn a_list_that_is_wrong_is_refused_with_the_place() {
    let refused = |list: &str| {
        let mutations = match parse_mutations(list) {
            Ok(mutations) => mutations,
            Err(error) => return error.to_string(),
        };
        mutations[0].check().unwrap_err().to_string()
    };
    for (list, part) in [
        ("# nothing\n- a\n", "line 2: no line `FILE.sv"),
        ("vta_fifo.sv: a\n- b\n* c\n", "line 3: expected `@ DESIGN`"),
        ("vta_fifo.sv: a\n+ b\n", "line 2: expected `@ DESIGN`"),
        ("vta_fifo.sv: a\n", "vta_fifo.sv: a: it changes nothing"),
        ("vta_fifo.sv: a\n- b\n+ b\n", "it changes nothing"),
        ("vta_none.sv: a\n- b\n", "there is no such file"),
        ("vta_fifo.sv: a\n@ none\n- b\n", "there is no design none"),
        (
            "vta_fifo.sv: a\n- no such text\n",
            "occurs 0 times in the file; rewrite it",
        ),
        ("vta_fifo.sv: a\n- push_i\n", "`push_i` occurs"),
    ] {
        let message = refused(list);
        assert!(message.contains(part), "{list}{message}");
    }
}

#[test]
fn a_bug_is_caught_and_a_comment_is_not() {
    if let Err(error) = RtlModel::tools() {
        println!("skipped: {error}");
        return;
    }
    let list = "\
vta_store.sv: an instruction without bursts is finished a cycle early
@ least
- .end_i({nothing_q, response_q}),
+ .end_i({empty_q, response_q}),

vta_store.sv: another comment
@ least
- // The store module:
+ // The module that stores:
";
    let mutations = parse_mutations(list).unwrap_or_else(|error| panic!("{error}"));
    let catches = try_mutations(&mutations, &(1..11), &|| {});
    let catches = catches.unwrap_or_else(|error| panic!("{error}"));
    let caught = catches[0].as_ref().expect("a bug");
    assert_eq!(caught.by, DifferenceKind::Time, "{:?}", caught.differences);
    assert_eq!(catches[1], None);
}
