//! Rules: which virtual machines are in a group because of what they are.
//!
//! ```text
//! label.env = prod and host in (a, b) and not name ~ "test*"
//! ```
//!
//! A rule is made of **tests** of a field, joined by `and`, `or`, `not` and parentheses; `and` binds tighter than `or`. Fields:
//! `name`, `id`, `host` (its name), `label.KEY`, `host.label.KEY`. Tests: `=`, `!=`, `in (..)`, `not in (..)`, `~` and `!~` (`*` is any
//! text, `?` any character, in any case), `exists`. Values are words or quoted, with `\"` and `\\` within quotes.
//!
//! Invariants: a field that a machine does not have (no such label, no host) passes no test, and so passes each negated one. What
//! [`Rule`] displays as parses to the same rule. Nothing but what was loaded with a machine is looked at, so that a rule's
//! outcome changes only when that does.
//!
//! Failure: [`Error`] says what is wrong and where, in characters from the beginning.

mod glob;
mod parse;
mod token;

pub use parse::{MAX_DEPTH, MAX_LENGTH};

use crate::label::Labels;
use crate::metric::Text;
use std::fmt;

/// A condition on a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Each of these, at least two.
    All(Vec<Rule>),
    /// One of these, at least two.
    Any(Vec<Rule>),
    /// Not this.
    Not(Box<Rule>),
    /// This.
    Test(Field, Check),
}

/// What a test looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Name of the machine.
    Name,
    /// UUID of the machine, in lower case with dashes.
    Id,
    /// Name of its host.
    Host,
    /// A label of the machine.
    Label(String),
    /// A label of its host.
    HostLabel(String),
}

/// What has to be so with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// It is there.
    Exists,
    /// It is one of these, letter by letter.
    In(Vec<String>),
    /// It looks like this: `*` is any text, `?` any character, in any case.
    Like(String),
}

/// What rules know of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// Its UUID, in lower case with dashes.
    pub id: String,
    /// Name of its host, if it has one.
    pub host: Option<String>,
    /// Its labels.
    pub labels: Labels,
    /// The labels of its host.
    pub host_labels: Labels,
}

/// A text that is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {}", problem.text().en)]
pub struct Error {
    /// Where, in characters from 0; the length of the text for its end.
    pub position: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// More than [`MAX_LENGTH`] characters.
    TooLong,
    /// More than [`MAX_DEPTH`] levels of parentheses and `not`.
    TooDeep,
    /// A test has to be here.
    TestExpected,
    /// There is no such field.
    UnknownField,
    /// No label has such a key.
    LabelKey,
    /// An operator has to be here.
    OperatorExpected,
    /// A value has to be here.
    ValueExpected,
    /// `(` has to be here.
    ListExpected,
    /// `)` is missing.
    Unclosed,
    /// The closing quote is missing.
    Unquoted,
    /// This character has no place here.
    Character,
    /// The rule could end here, and does not go on with `and` or `or`.
    JoinExpected,
}

impl Rule {
    /// Whether the machine is as the rule says.
    pub fn matches(&self, facts: &Facts) -> bool {
        match self {
            Self::All(rules) => rules.iter().all(|rule| rule.matches(facts)),
            Self::Any(rules) => rules.iter().any(|rule| rule.matches(facts)),
            Self::Not(rule) => !rule.matches(facts),
            Self::Test(field, check) => facts.get(field).is_some_and(|value| check.passes(value)),
        }
    }
}

/// What can come of a rule when not everything is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcomes {
    /// The machine may be as the rule says.
    pub yes: bool,
    /// It may not be so.
    pub no: bool,
}

impl Rule {
    /// What can come of the rule when only the fields for which `known` holds are as in `facts`, and the others are anything: at least
    /// that, perhaps more.
    pub fn outcomes(&self, facts: &Facts, known: &impl Fn(&Field) -> bool) -> Outcomes {
        let of = |rules: &[Self]| -> Vec<Outcomes> {
            rules.iter().map(|rule| rule.outcomes(facts, known)).collect()
        };
        match self {
            Self::All(rules) => {
                let parts = of(rules);
                Outcomes {
                    yes: parts.iter().all(|part| part.yes),
                    no: parts.iter().any(|part| part.no),
                }
            }
            Self::Any(rules) => {
                let parts = of(rules);
                Outcomes {
                    yes: parts.iter().any(|part| part.yes),
                    no: parts.iter().all(|part| part.no),
                }
            }
            Self::Not(rule) => {
                let Outcomes { yes, no } = rule.outcomes(facts, known);
                Outcomes { yes: no, no: yes }
            }
            Self::Test(field, _) if known(field) => {
                let yes = self.matches(facts);
                Outcomes { yes, no: !yes }
            }
            Self::Test(..) => Outcomes { yes: true, no: true },
        }
    }

    /// Whether it looks at a field for which `wanted` holds.
    pub fn looks_at(&self, wanted: &impl Fn(&Field) -> bool) -> bool {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().any(|rule| rule.looks_at(wanted)),
            Self::Not(rule) => rule.looks_at(wanted),
            Self::Test(field, _) => wanted(field),
        }
    }
}

impl Check {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::Exists => true,
            Self::In(values) => values.iter().any(|one| one == value),
            Self::Like(pattern) => glob::matches(pattern, value),
        }
    }
}

impl Facts {
    fn get(&self, field: &Field) -> Option<&str> {
        match field {
            Field::Name => Some(&self.name),
            Field::Id => Some(&self.id),
            Field::Host => self.host.as_deref(),
            Field::Label(key) => self.labels.get(key).map(String::as_str),
            Field::HostLabel(key) => self.host_labels.get(key).map(String::as_str),
        }
    }
}

impl std::str::FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse::rule(text)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(rules) => join(f, rules, " and "),
            Self::Any(rules) => join(f, rules, " or "),
            Self::Not(rule) => {
                f.write_str("not ")?;
                rule.within(f)
            }
            Self::Test(field, check) => write!(f, "{field} {check}"),
        }
    }
}

impl Rule {
    /// As a part of another rule.
    fn within(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(_) | Self::Any(_) => write!(f, "({self})"),
            Self::Not(_) | Self::Test(..) => write!(f, "{self}"),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, rules: &[Rule], word: &str) -> fmt::Result {
    for (number, rule) in rules.iter().enumerate() {
        if number > 0 {
            f.write_str(word)?;
        }
        rule.within(f)?;
    }
    Ok(())
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Id => f.write_str("id"),
            Self::Host => f.write_str("host"),
            Self::Label(key) => write!(f, "label.{key}"),
            Self::HostLabel(key) => write!(f, "host.label.{key}"),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("exists"),
            Self::In(values) if values.len() == 1 => write!(f, "= {}", token::quoted(&values[0])),
            Self::In(values) => {
                let values: Vec<String> = values.iter().map(|value| token::quoted(value)).collect();
                write!(f, "in ({})", values.join(", "))
            }
            Self::Like(pattern) => write!(f, "~ {}", token::quoted(pattern)),
        }
    }
}

impl Problem {
    /// What is wrong, for people.
    pub const fn text(self) -> Text {
        let (en, zh, ja) = match self {
            Self::TooLong => ("the rule is too long", "规则过长", "ルールが長すぎます"),
            Self::TooDeep => ("too many parentheses", "括号嵌套过深", "括弧の入れ子が深すぎます"),
            Self::TestExpected => (
                "a condition is missing here",
                "此处缺少条件",
                "ここに条件が必要です",
            ),
            Self::UnknownField => (
                "there is no such field: name, id, host, label.KEY or host.label.KEY",
                "没有该字段，可用：name、id、host、label.KEY、host.label.KEY",
                "そのような項目はありません。name、id、host、label.KEY、host.label.KEY が使えます",
            ),
            Self::LabelKey => (
                "no label has such a key",
                "标签键无效",
                "ラベルのキーが正しくありません",
            ),
            Self::OperatorExpected => (
                "an operator is missing here: =, !=, ~, !~, in, not in or exists",
                "此处缺少运算符：=、!=、~、!~、in、not in 或 exists",
                "ここに演算子が必要です：=、!=、~、!~、in、not in、exists",
            ),
            Self::ValueExpected => ("a value is missing here", "此处缺少值", "ここに値が必要です"),
            Self::ListExpected => (
                "a list in parentheses is missing here",
                "此处缺少用括号括起的列表",
                "ここに括弧で囲んだリストが必要です",
            ),
            Self::Unclosed => (
                "a closing parenthesis is missing",
                "缺少右括号",
                "閉じ括弧がありません",
            ),
            Self::Unquoted => (
                "the closing quote is missing",
                "缺少右引号",
                "閉じ引用符がありません",
            ),
            Self::Character => (
                "this character has to be in quotes",
                "该字符必须放在引号内",
                "この文字は引用符で囲む必要があります",
            ),
            Self::JoinExpected => (
                "the next condition must begin with and or or",
                "下一个条件必须以 and 或 or 开头",
                "次の条件は and または or で始める必要があります",
            ),
        };
        Text { en, zh, ja }
    }
}
