//! From a text to a rule.

use super::token::{self, Token};
use super::{Check, Error, Field, Problem, Rule};
use crate::label;

/// Most characters of a rule.
pub const MAX_LENGTH: usize = 2_000;
/// Most levels of parentheses and `not`.
pub const MAX_DEPTH: usize = 32;

/// The rule that the text is.
pub(super) fn rule(text: &str) -> Result<Rule, Error> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err(Error {
            position: MAX_LENGTH,
            problem: Problem::TooLong,
        });
    }
    let mut parser = Parser {
        tokens: token::read(text)?,
        next: 0,
        depth: 0,
        length,
    };
    let rule = parser.any()?;
    match parser.peek() {
        None => Ok(rule),
        Some(_) => Err(parser.error(Problem::JoinExpected)),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
    length: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    /// Takes the next token, if it is this word.
    fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(keyword));
        self.next += usize::from(found);
        found
    }

    /// Takes the next token, if it is this one.
    fn sign(&mut self, sign: &Token) -> bool {
        let found = self.peek() == Some(sign);
        self.next += usize::from(found);
        found
    }

    /// What is wrong with the next token.
    fn error(&self, problem: Problem) -> Error {
        let position = self
            .tokens
            .get(self.next)
            .map_or(self.length, |(position, _)| *position);
        Error { position, problem }
    }

    fn any(&mut self) -> Result<Rule, Error> {
        let mut rules = vec![self.all()?];
        while self.keyword("or") {
            rules.push(self.all()?);
        }
        Ok(one_or(rules, Rule::Any))
    }

    fn all(&mut self) -> Result<Rule, Error> {
        let mut rules = vec![self.unary()?];
        while self.keyword("and") {
            rules.push(self.unary()?);
        }
        Ok(one_or(rules, Rule::All))
    }

    fn unary(&mut self) -> Result<Rule, Error> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(Problem::TooDeep));
        }
        self.depth += 1;
        let rule = if self.keyword("not") {
            Rule::Not(Box::new(self.unary()?))
        } else if self.sign(&Token::Open) {
            let rule = self.any()?;
            if !self.sign(&Token::Close) {
                return Err(self.error(Problem::Unclosed));
            }
            rule
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(rule)
    }

    fn test(&mut self) -> Result<Rule, Error> {
        let Some(Token::Word(word)) = self.peek() else {
            return Err(self.error(Problem::TestExpected));
        };
        let field = field(word).map_err(|problem| self.error(problem))?;
        self.next += 1;
        let (check, negated) = self.check()?;
        let test = Rule::Test(field, check);
        Ok(if negated { Rule::Not(Box::new(test)) } else { test })
    }

    fn check(&mut self) -> Result<(Check, bool), Error> {
        if self.keyword("exists") {
            return Ok((Check::Exists, false));
        }
        if self.keyword("in") {
            return Ok((Check::In(self.list()?), false));
        }
        if self.keyword("not") {
            if !self.keyword("in") {
                return Err(self.error(Problem::OperatorExpected));
            }
            return Ok((Check::In(self.list()?), true));
        }
        let (like, negated) = match self.peek() {
            Some(Token::Equal) => (false, false),
            Some(Token::Unequal) => (false, true),
            Some(Token::Like) => (true, false),
            Some(Token::Unlike) => (true, true),
            _ => return Err(self.error(Problem::OperatorExpected)),
        };
        self.next += 1;
        let value = self.value()?;
        let check = if like {
            Check::Like(value)
        } else {
            Check::In(vec![value])
        };
        Ok((check, negated))
    }

    fn list(&mut self) -> Result<Vec<String>, Error> {
        if !self.sign(&Token::Open) {
            return Err(self.error(Problem::ListExpected));
        }
        let mut values = vec![self.value()?];
        while self.sign(&Token::Comma) {
            values.push(self.value()?);
        }
        if !self.sign(&Token::Close) {
            return Err(self.error(Problem::Unclosed));
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<String, Error> {
        let value = self.peek().and_then(Token::value).map(str::to_owned);
        let value = value.ok_or_else(|| self.error(Problem::ValueExpected))?;
        self.next += 1;
        Ok(value)
    }
}

fn one_or(mut rules: Vec<Rule>, several: impl FnOnce(Vec<Rule>) -> Rule) -> Rule {
    match rules.pop() {
        Some(only) if rules.is_empty() => only,
        Some(last) => {
            rules.push(last);
            several(rules)
        }
        None => several(rules),
    }
}

fn field(word: &str) -> Result<Field, Problem> {
    let labelled = |key: &str, field: fn(String) -> Field| {
        if label::is_key(key) {
            Ok(field(key.to_owned()))
        } else {
            Err(Problem::LabelKey)
        }
    };
    match word {
        "name" => Ok(Field::Name),
        "id" => Ok(Field::Id),
        "host" => Ok(Field::Host),
        "and" | "or" | "not" | "in" | "exists" => Err(Problem::TestExpected),
        _ => match (word.strip_prefix("label."), word.strip_prefix("host.label.")) {
            (Some(key), _) => labelled(key, Field::Label),
            (_, Some(key)) => labelled(key, Field::HostLabel),
            (None, None) => Err(Problem::UnknownField),
        },
    }
}
