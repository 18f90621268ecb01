//! Rules: what they display as parses to themselves, they say what a plain restatement says, and nothing that is typed breaks them.

use proptest::prelude::*;
use std::collections::BTreeMap;
use vmscope_model::rule::{Check, Facts, Field, MAX_DEPTH, MAX_LENGTH, Problem, Rule};

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        Just("and".to_owned()),
        Just("IN".to_owned()),
        Just(String::new()),
        "[a-b \"\\\\=(),~ü*?]{1,6}",
    ]
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        Just(Field::Name),
        Just(Field::Id),
        Just(Field::Host),
        "[a-c]".prop_map(Field::Label),
        "[a-c]".prop_map(Field::HostLabel),
        Just(Field::Label("app.io/name-1".to_owned())),
    ]
}

fn check() -> impl Strategy<Value = Check> {
    prop_oneof![
        Just(Check::Exists),
        prop::collection::vec(value(), 1..4).prop_map(Check::In),
        value().prop_map(Check::Like),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let test = (field(), check()).prop_map(|(field, check)| Rule::Test(field, check));
    test.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Rule::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Rule::Any),
            inner.prop_map(|rule| Rule::Not(Box::new(rule))),
        ]
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    let labels = || prop::collection::btree_map("[a-c]", "[a-c]{0,2}", 0..3);
    ("[a-c]{0,2}", prop::option::of("[a-c]{0,2}"), labels(), labels()).prop_map(
        |(name, host, labels, host_labels)| Facts {
            name,
            id: "a".to_owned(),
            host,
            labels,
            host_labels,
        },
    )
}

/// The same, said another way: through a table of everything that is known.
fn restated(rule: &Rule, facts: &Facts) -> bool {
    let mut known: BTreeMap<String, &str> = BTreeMap::from([
        ("name".to_owned(), facts.name.as_str()),
        ("id".to_owned(), facts.id.as_str()),
    ]);
    known.extend(facts.host.iter().map(|host| ("host".to_owned(), host.as_str())));
    for (prefix, labels) in [("label", &facts.labels), ("host.label", &facts.host_labels)] {
        known.extend(
            labels
                .iter()
                .map(|(key, value)| (format!("{prefix}.{key}"), value.as_str())),
        );
    }
    match rule {
        Rule::All(rules) => !rules.iter().any(|rule| !restated(rule, facts)),
        Rule::Any(rules) => !rules.iter().all(|rule| !restated(rule, facts)),
        Rule::Not(rule) => !restated(rule, facts),
        Rule::Test(field, check) => {
            let Some(known) = known.get(&field.to_string()) else {
                return false;
            };
            match check {
                Check::Exists => true,
                Check::In(values) => values.contains(&(*known).to_owned()),
                Check::Like(pattern) => like(&pattern.to_lowercase(), &known.to_lowercase()),
            }
        }
    }
}

fn like(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return text.is_empty();
    };
    let rest = &pattern[first.len_utf8()..];
    let mut ends = text.char_indices().map(|(end, _)| end).chain([text.len()]);
    match first {
        '*' => ends.any(|end| like(rest, &text[end..])),
        '?' => ends.nth(1).is_some_and(|end| like(rest, &text[end..])),
        _ => text.strip_prefix(first).is_some_and(|text| like(rest, text)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_a_rule_displays_as_parses_to_the_same_rule(rule in rule()) {
        let text = rule.to_string();
        prop_assume!(text.chars().count() <= MAX_LENGTH);
        prop_assert_eq!(text.parse::<Rule>(), Ok(rule), "{}", text);
    }

    #[test]
    fn a_rule_says_what_its_restatement_says(rule in rule(), facts in facts()) {
        prop_assert_eq!(rule.matches(&facts), restated(&rule, &facts));
    }

    #[test]
    fn whatever_comes_of_a_rule_was_possible(rule in rule(), facts in facts(), other in facts()) {
        let same_labels = Facts { labels: facts.labels.clone(), ..other.clone() };
        let of_labels = rule.outcomes(&facts, &|field| matches!(field, Field::Label(_)));
        let outcome = rule.matches(&same_labels);
        let possible = if outcome { of_labels.yes } else { of_labels.no };
        prop_assert!(possible);
        let (all, none) = (rule.outcomes(&facts, &|_| true), rule.outcomes(&facts, &|_| false));
        prop_assert_eq!((all.yes, all.no), (rule.matches(&facts), !rule.matches(&facts)));
        prop_assert!(none.yes && none.no);
        if !rule.looks_at(&|field| matches!(field, Field::Label(_))) {
            let labelled = Facts { labels: other.labels, ..facts.clone() };
            prop_assert_eq!(rule.matches(&facts), rule.matches(&labelled));
        }
    }

    #[test]
    fn an_error_lies_within_the_text(
        words in prop::collection::vec(prop_oneof![
            Just("name"), Just("and"), Just("or"), Just("not"), Just("("), Just(")"), Just("in"), Just(","), Just("="), Just("!="),
            Just("~"), Just("x"), Just("\"y"), Just("\""), Just("label.a"), Just("label."), Just("ü"), Just("!"), Just("exists"), Just("$"),
        ], 0..12),
    ) {
        let text = words.join(" ");
        if let Err(error) = text.parse::<Rule>() {
            prop_assert!(error.position <= text.chars().count());
        }
    }

    #[test]
    fn any_text_is_a_rule_or_an_error(text in ".{0,200}") {
        let _ = text.parse::<Rule>();
    }
}

#[test]
fn and_binds_tighter_than_or() {
    let plain: Rule = "name = a or name = b and host = c".parse().unwrap();
    let grouped: Rule = "name = a or (name = b and host = c)".parse().unwrap();
    assert_eq!(plain, grouped);
    let negated: Rule = "not name = a and host = c".parse().unwrap();
    assert_eq!(negated, "(not (name = a)) AND host = c".parse().unwrap());
}

#[test]
fn what_is_not_there_passes_no_test_and_each_negated_one() {
    let facts = Facts::default();
    let says = |text: &str| text.parse::<Rule>().unwrap().matches(&facts);
    assert!(!says("label.env = prod") && !says("label.env ~ \"*\"") && !says("label.env exists"));
    assert!(says("label.env != prod") && says("label.env not in (a, b)") && says("host !~ x"));
}

#[test]
fn errors_say_where_and_what() {
    for (text, position, problem) in [
        ("", 0, Problem::TestExpected),
        ("  ", 2, Problem::TestExpected),
        ("nom = a", 0, Problem::UnknownField),
        ("label.Env = a", 0, Problem::LabelKey),
        ("name", 4, Problem::OperatorExpected),
        ("name a", 5, Problem::OperatorExpected),
        ("name not a", 9, Problem::OperatorExpected),
        ("name =", 6, Problem::ValueExpected),
        ("name = and", 7, Problem::ValueExpected),
        ("host in a", 8, Problem::ListExpected),
        ("host in (a, )", 12, Problem::ValueExpected),
        ("host in (a", 10, Problem::Unclosed),
        ("(name = a", 9, Problem::Unclosed),
        ("name = \"東", 7, Problem::Unquoted),
        ("name = 東 $", 9, Problem::Character),
        ("name = a host = b", 9, Problem::JoinExpected),
        ("name = a and", 12, Problem::TestExpected),
    ] {
        let error = text.parse::<Rule>().unwrap_err();
        assert_eq!((error.position, error.problem), (position, problem), "{text:?}");
    }
    let deep = format!("{}name = a", "not ".repeat(MAX_DEPTH));
    assert_eq!(deep.parse::<Rule>().unwrap_err().problem, Problem::TooDeep);
    assert!(deep[4..].parse::<Rule>().is_ok());
    let long = "x".repeat(MAX_LENGTH + 1);
    assert_eq!(long.parse::<Rule>().unwrap_err().problem, Problem::TooLong);
}
