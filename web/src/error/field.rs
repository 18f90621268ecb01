//! What can be wrong with a field of a body.

use super::ApiError;
use crate::language::Language;
use vmscope_model::metric::Text;
use vmscope_model::rule;
use vmscope_vault::password::{self, Weakness};

/// A wrong field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its path in the body.
    pub name: String,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Field {
    /// A wrong field.
    pub fn new(name: impl Into<String>, fault: Fault) -> Self {
        Self {
            name: name.into(),
            fault,
        }
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There is no such field.
    Unknown,
    /// It has to be given.
    Missing,
    /// It is of another type, as the parser says.
    Type(String),
    /// It contains a character that no text has.
    ControlCharacter,
    /// It has fewer characters or items than this.
    TooShort(usize),
    /// It has more characters or items than this.
    TooLong(usize),
    /// It is not written as it has to be.
    Format,
    /// It is none of the known values.
    UnknownValue,
    /// What it names does not exist.
    NotFound,
    /// It lies in the past.
    Past,
    /// It lies more than so many days ahead.
    TooFar(i64),
    /// It is not from the first to the last.
    Range(u64, u64),
    /// It is no multiple of this.
    NotMultiple(u32),
    /// It can't be had together with something else that is asked for.
    Conflict,
    /// It is not before the end.
    Order,
    /// It is known from samples only, and there are none from before this moment.
    NeedsSamples(String),
    /// It is not what was expected: a password, a code.
    Wrong,
    /// It is no rule for groups.
    Rule(rule::Error),
    /// The password contains the name of its owner.
    PasswordContainsName,
    /// The password is one of the most frequent.
    PasswordCommon,
    /// The password is short and of few kinds of characters.
    PasswordSimple,
    /// The password is the same few characters again and again.
    PasswordRepetitive,
    /// The password is the one before.
    PasswordSame,
}

impl From<Weakness> for Fault {
    fn from(weakness: Weakness) -> Self {
        match weakness {
            Weakness::TooShort => Self::TooShort(*password::LENGTH.start()),
            Weakness::TooLong => Self::TooLong(*password::LENGTH.end()),
            Weakness::TooFewClasses => Self::PasswordSimple,
            Weakness::Repetitive => Self::PasswordRepetitive,
            Weakness::ContainsName => Self::PasswordContainsName,
            Weakness::Common => Self::PasswordCommon,
        }
    }
}

impl Fault {
    /// For programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Type(_) => "type",
            Self::ControlCharacter => "control_character",
            Self::TooShort(_) => "too_short",
            Self::TooLong(_) => "too_long",
            Self::Format => "format",
            Self::UnknownValue => "unknown_value",
            Self::NotFound => "not_found",
            Self::Past => "past",
            Self::TooFar(_) => "too_far",
            Self::Range(..) => "range",
            Self::NotMultiple(_) => "not_multiple",
            Self::Conflict => "conflict",
            Self::Order => "order",
            Self::NeedsSamples(_) => "needs_samples",
            Self::Wrong => "wrong",
            Self::Rule(_) => "rule",
            Self::PasswordContainsName => "password_contains_name",
            Self::PasswordCommon => "password_common",
            Self::PasswordSimple => "password_simple",
            Self::PasswordRepetitive => "password_repetitive",
            Self::PasswordSame => "password_same",
        }
    }

    /// Where in the text, in characters from 0.
    pub const fn position(&self) -> Option<usize> {
        match self {
            Self::Rule(error) => Some(error.position),
            _ => None,
        }
    }

    /// For people.
    pub fn message(&self, language: Language) -> String {
        let text = language.pick(&self.text());
        match self {
            Self::Type(detail) => text.replace("{detail}", detail),
            Self::TooShort(limit) | Self::TooLong(limit) => text.replace("{limit}", &limit.to_string()),
            Self::TooFar(days) => text.replace("{limit}", &days.to_string()),
            Self::Range(min, max) => text
                .replace("{min}", &min.to_string())
                .replace("{max}", &max.to_string()),
            Self::NotMultiple(step) => text.replace("{step}", &step.to_string()),
            Self::NeedsSamples(since) => text.replace("{since}", since),
            _ => text.to_owned(),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table of texts")]
    const fn text(&self) -> Text {
        match self {
            Self::Unknown => text("Unknown field", "未知字段", "不明な項目です"),
            Self::Missing => text("Required", "必填", "必須です"),
            Self::Type(_) => text(
                "Wrong type: {detail}",
                "类型错误：{detail}",
                "型が違います：{detail}",
            ),
            Self::ControlCharacter => text(
                "Must not contain control characters",
                "不能包含控制字符",
                "制御文字は使用できません",
            ),
            Self::TooShort(_) => text(
                "At least {limit} are needed",
                "至少需要 {limit} 个",
                "{limit} 以上必要です",
            ),
            Self::TooLong(_) => text(
                "At most {limit} are allowed",
                "最多允许 {limit} 个",
                "{limit} 以下にしてください",
            ),
            Self::Format => text("Not a valid value", "格式无效", "形式が正しくありません"),
            Self::UnknownValue => text("Not a known value", "未知的取值", "不明な値です"),
            Self::NotFound => text("Does not exist", "不存在", "存在しません"),
            Self::Past => text(
                "Must be in the future",
                "必须是将来的时间",
                "将来の日時にしてください",
            ),
            Self::TooFar(_) => text(
                "Must be within {limit} days",
                "必须在 {limit} 天之内",
                "{limit} 日以内にしてください",
            ),
            Self::Range(..) => text(
                "Must be from {min} to {max}",
                "必须在 {min} 到 {max} 之间",
                "{min} から {max} までの値にしてください",
            ),
            Self::NotMultiple(_) => text(
                "Must be a multiple of {step}",
                "必须是 {step} 的倍数",
                "{step} の倍数にしてください",
            ),
            Self::Conflict => text(
                "Can't be combined with what else is asked for",
                "不能与请求中的其他条件同时使用",
                "他の指定と同時には使えません",
            ),
            Self::Order => text(
                "Must be before the end",
                "必须早于结束时间",
                "終了時刻より前にしてください",
            ),
            Self::NeedsSamples(_) => text(
                "Needs the samples themselves, which are kept since {since}",
                "需要原始样本，而原始样本仅从 {since} 起保留",
                "元のサンプルが必要ですが、サンプルは {since} 以降のものしか残っていません",
            ),
            Self::Rule(error) => error.problem.text(),
            Self::Wrong => text("Wrong", "不正确", "正しくありません"),
            Self::PasswordContainsName => text(
                "Must not contain the user name",
                "不能包含用户名",
                "ユーザー名を含めることはできません",
            ),
            Self::PasswordCommon => text(
                "Too common, easily guessed",
                "过于常见，容易被猜到",
                "よく使われるパスワードで、推測されやすいため使用できません",
            ),
            Self::PasswordSimple => text(
                "Below 16 characters, three of these are needed: lower case, upper case, digits, others",
                "少于 16 个字符时，须包含小写字母、大写字母、数字、其他字符中的三类",
                "16 文字未満の場合は、小文字・大文字・数字・その他のうち 3 種類が必要です",
            ),
            Self::PasswordRepetitive => text(
                "Needs at least five different characters",
                "至少需要五种不同的字符",
                "5 種類以上の異なる文字が必要です",
            ),
            Self::PasswordSame => text(
                "Must differ from the present one",
                "不能与当前密码相同",
                "現在のパスワードと異なる必要があります",
            ),
        }
    }
}

const fn text(en: &'static str, zh: &'static str, ja: &'static str) -> Text {
    Text { en, zh, ja }
}

/// Gathers what is wrong, so that a person sees all of it at once.
#[derive(Debug, Default)]
pub struct Fields(Vec<Field>);

impl Fields {
    /// The field is wrong.
    pub fn refuse(&mut self, name: &str, fault: Fault) {
        self.0.push(Field::new(name, fault));
    }

    /// The field is wrong unless `right`.
    pub fn require(&mut self, right: bool, name: &str, fault: Fault) {
        if !right {
            self.refuse(name, fault);
        }
    }

    /// The text, without white space around it, has from `min` to `max` characters and no control characters.
    pub fn text(&mut self, name: &str, value: &str, min: usize, max: usize) {
        let length = value.trim().chars().count();
        self.require(length >= min, name, Fault::TooShort(min));
        self.require(length <= max, name, Fault::TooLong(max));
        self.require(
            !value.chars().any(char::is_control),
            name,
            Fault::ControlCharacter,
        );
    }

    /// The text, with everything in it, has from `min` to `max` characters: for what people keep secret.
    pub fn length(&mut self, name: &str, value: &str, min: usize, max: usize) {
        let length = value.chars().count();
        self.require(length >= min, name, Fault::TooShort(min));
        self.require(length <= max, name, Fault::TooLong(max));
    }

    /// What is wrong, if anything is.
    ///
    /// # Errors
    /// [`ApiError::Fields`].
    pub fn check(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Fields(self.0))
        }
    }
}
