//! What the API answers when it can't answer what was asked: one enum, one JSON shape, three languages.
//!
//! A handler's error becomes an empty response that carries the [`ApiError`] as an extension; [`localise`], the outermost
//! layer of the API, writes its body in the caller's language. Causes of internal errors go to the log, never to the caller.

use crate::language::Language;
use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LANGUAGE, CONTENT_LENGTH, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt::Display;
use utoipa::{IntoResponses, ToSchema};
use vmscope_model::metric::Text;

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The request makes no sense as a whole.
    #[error("bad request")]
    BadRequest,
    /// A parameter is unknown, missing or wrong; the detail names it.
    #[error("bad parameter: {detail}")]
    Parameter {
        /// `name: what is wrong`.
        detail: String,
    },
    /// The request comes from, or is meant for, another site.
    #[error("request of another site")]
    Foreign,
    /// There is no such thing.
    #[error("not found")]
    NotFound,
    /// The path exists, the method does not.
    #[error("method not allowed")]
    Method,
    /// The answer would be too big.
    #[error("more than {limit} values asked for")]
    TooMuch {
        /// Most values of one answer.
        limit: usize,
    },
    /// Something that the caller can't mend; the log says what.
    #[error("internal error")]
    Internal,
    /// The database does not answer, or no collector has made its tables yet.
    #[error("database unavailable")]
    DatabaseUnavailable,
    /// No more live connections.
    #[error("too many live connections")]
    Full,
}

impl ApiError {
    /// A bad parameter `name`, with what is wrong about it.
    pub fn parameter(name: &str, problem: impl Display) -> Self {
        Self::Parameter {
            detail: format!("{name}: {problem}"),
        }
    }

    /// Stable application code.
    pub const fn code(&self) -> u32 {
        match self {
            Self::BadRequest => 40_000,
            Self::Parameter { .. } => 40_001,
            Self::Foreign => 40_300,
            Self::NotFound => 40_400,
            Self::Method => 40_500,
            Self::TooMuch { .. } => 41_300,
            Self::Internal => 50_000,
            Self::DatabaseUnavailable => 50_300,
            Self::Full => 50_301,
        }
    }

    /// HTTP status: the first three digits of the code.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest | Self::Parameter { .. } => StatusCode::BAD_REQUEST,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooMuch { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::DatabaseUnavailable | Self::Full => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What a person reads.
    pub fn message(&self, language: Language) -> String {
        let text = language.pick(&self.text());
        match self {
            Self::TooMuch { limit } => text.replace("{limit}", &limit.to_string()),
            Self::Parameter { detail } => match language {
                Language::English => format!("{text}: {detail}"),
                Language::Chinese | Language::Japanese => format!("{text}：{detail}"),
            },
            _ => text.to_owned(),
        }
    }

    const fn text(&self) -> Text {
        match self {
            Self::BadRequest => Text {
                en: "Bad request",
                zh: "请求无效",
                ja: "リクエストが正しくありません",
            },
            Self::Parameter { .. } => Text {
                en: "Bad parameter",
                zh: "参数错误",
                ja: "パラメーターが正しくありません",
            },
            Self::Foreign => Text {
                en: "Requests from or for other sites are refused",
                zh: "拒绝来自或发往其他站点的请求",
                ja: "他のサイトからの、または他のサイト宛てのリクエストは拒否されます",
            },
            Self::NotFound => Text {
                en: "Not found",
                zh: "未找到",
                ja: "見つかりません",
            },
            Self::Method => Text {
                en: "Method not allowed",
                zh: "不支持该请求方法",
                ja: "このメソッドは使用できません",
            },
            Self::TooMuch { .. } => Text {
                en: "Too much asked for: one answer holds at most {limit} values",
                zh: "请求的数据量过大：单次最多返回 {limit} 个值",
                ja: "要求されたデータが多すぎます。1 回の応答は最大 {limit} 個の値です",
            },
            Self::Internal => Text {
                en: "Internal error; the server's log says more",
                zh: "内部错误，详情请查看服务器日志",
                ja: "内部エラーが発生しました。詳細はサーバーのログを確認してください",
            },
            Self::DatabaseUnavailable => Text {
                en: "The database is unavailable; try again soon",
                zh: "数据库不可用，请稍后重试",
                ja: "データベースを利用できません。しばらくしてから再試行してください",
            },
            Self::Full => Text {
                en: "Too many live connections; try again later",
                zh: "实时连接数已达上限，请稍后重试",
                ja: "ライブ接続が上限に達しています。しばらくしてから再試行してください",
            },
        }
    }
}

impl From<vmscope_store::Error> for ApiError {
    /// Logs what the caller is not told.
    fn from(error: vmscope_store::Error) -> Self {
        if let vmscope_store::Error::TooMuch { limit } = error {
            return Self::TooMuch { limit };
        }
        let (transient, unprepared) = (error.is_transient(), error.is_unprepared());
        let chain = format!("{:#}", anyhow::Error::from(error));
        if unprepared {
            tracing::warn!(
                error = chain,
                "database lacks tables of this version, which a collector makes"
            );
            Self::DatabaseUnavailable
        } else if transient {
            tracing::warn!(error = chain, "database can't answer");
            Self::DatabaseUnavailable
        } else {
            tracing::error!(error = chain, "database query failed");
            Self::Internal
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of a response that carries an [`ApiError`], in the language of the request. Its headers stay.
pub async fn localise(request: Request, next: Next) -> Response {
    let language = Language::of(request.headers());
    let response = next.run(request).await;
    let Some(error) = response.extensions().get::<ApiError>() else {
        return response;
    };
    let problem = Problem {
        code: error.code(),
        message: error.message(language),
        data: None,
    };
    let body = Json(problem).into_response();
    let (mut parts, _) = response.into_parts();
    parts.headers.extend(body.headers().clone());
    parts.headers.remove(CONTENT_LENGTH);
    parts
        .headers
        .insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    Response::from_parts(parts, body.into_body())
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Application code, never 0.
    #[schema(example = 40001)]
    code: u32,
    /// What is wrong, in the caller's language.
    message: String,
    /// Always null.
    #[schema(required, value_type = Option<Object>)]
    data: Option<()>,
}

/// The errors that any endpoint may answer with, for the documentation.
#[derive(Debug, IntoResponses)]
pub enum Problems {
    /// 40000 bad request, 40001 bad parameter.
    #[response(status = 400)]
    BadRequest(Problem),
    /// 40300 request from or for another site.
    #[response(status = 403)]
    Foreign(Problem),
    /// 40400 not found.
    #[response(status = 404)]
    NotFound(Problem),
    /// 41300 too much asked for.
    #[response(status = 413)]
    TooMuch(Problem),
    /// 50000 internal error.
    #[response(status = 500)]
    Internal(Problem),
    /// 50300 database unavailable, 50301 too many live connections.
    #[response(status = 503)]
    Unavailable(Problem),
}
