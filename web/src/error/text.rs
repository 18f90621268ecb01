//! What people read.

use super::ApiError;
use crate::language::Language;
use vmscope_model::metric::Text;

impl ApiError {
    /// What a person reads.
    pub fn message(&self, language: Language) -> String {
        let text = language.pick(&self.text());
        match self {
            Self::TooMuch { limit } | Self::BodyTooLarge { limit } => {
                text.replace("{limit}", &limit.to_string())
            }
            Self::TooManySamples { limit } => text.replace("{limit}", &limit.to_string()),
            Self::Forbidden { permission } => text.replace("{permission}", permission),
            Self::TooManyRequests { retry_after_s } => text.replace("{seconds}", &retry_after_s.to_string()),
            Self::Locked { retry_after_s } => {
                text.replace("{minutes}", &retry_after_s.div_ceil(60).to_string())
            }
            Self::Parameter { detail } | Self::BrokenJson { detail } => match language {
                Language::English => format!("{text}: {detail}"),
                Language::Chinese | Language::Japanese => format!("{text}：{detail}"),
            },
            _ => text.to_owned(),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table of texts")]
    const fn text(&self) -> Text {
        match self {
            Self::BadRequest => text("Bad request", "请求无效", "リクエストが正しくありません"),
            Self::Parameter { .. } => text("Bad parameter", "参数错误", "パラメーターが正しくありません"),
            Self::BrokenJson { .. } => text(
                "The body is not JSON",
                "请求体不是有效的 JSON",
                "本文が JSON ではありません",
            ),
            Self::Fields(_) => text(
                "Some fields are not right",
                "部分字段填写有误",
                "正しくない項目があります",
            ),
            Self::NotLoggedIn => text("Please log in", "请先登录", "ログインしてください"),
            Self::WrongCredentials => text(
                "Wrong name, password or second factor",
                "用户名、密码或第二因素验证码错误",
                "ユーザー名、パスワード、または 2 要素目のコードが正しくありません",
            ),
            Self::SecondFactorNeeded => text(
                "The second factor is needed, too",
                "还需要第二因素验证码",
                "2 要素目のコードも必要です",
            ),
            Self::SessionOver => text(
                "The session is over; please log in again",
                "会话已结束，请重新登录",
                "セッションが終了しました。もう一度ログインしてください",
            ),
            Self::Foreign => text(
                "Requests from other sites are refused",
                "拒绝来自其他站点的请求",
                "他のサイトからのリクエストは拒否されます",
            ),
            Self::Forbidden { .. } => text(
                "You lack the permission {permission}",
                "您缺少权限 {permission}",
                "権限 {permission} がありません",
            ),
            Self::Csrf => text(
                "The request lacks its protection token; reload the page",
                "请求缺少防护令牌，请刷新页面",
                "保護トークンがありません。ページを再読み込みしてください",
            ),
            Self::SetUp => text(
                "The set-up is done already",
                "初始设置已完成",
                "初期設定は完了しています",
            ),
            Self::MustChangePassword => text(
                "Please change your password first",
                "请先修改密码",
                "先にパスワードを変更してください",
            ),
            Self::InPerson => text(
                "An API token can't do this; log in",
                "API 令牌不能执行此操作，请登录",
                "API トークンではこの操作はできません。ログインしてください",
            ),
            Self::NotFound => text("Not found", "未找到", "見つかりません"),
            Self::Method => text(
                "Method not allowed",
                "不支持该请求方法",
                "このメソッドは使用できません",
            ),
            Self::Timeout => text(
                "It took too long; try again",
                "处理超时，请重试",
                "時間がかかりすぎました。再試行してください",
            ),
            Self::NameTaken => text(
                "The name is taken",
                "该名称已被使用",
                "この名前は既に使われています",
            ),
            Self::InUse => text(
                "It is in use",
                "正在使用中，无法执行该操作",
                "使用中のため実行できません",
            ),
            Self::BuiltIn => text(
                "What comes with vmscope can't be changed",
                "内置项不能修改",
                "組み込みのものは変更できません",
            ),
            Self::LastAdministrator => text(
                "Nobody would be left who may do everything",
                "必须至少保留一名拥有全部权限的管理员",
                "すべての権限を持つ管理者が 1 人もいなくなるため実行できません",
            ),
            Self::Cycle => text(
                "It would be a part of itself",
                "不能包含或继承自身",
                "自分自身を含む（継承する）ことになります",
            ),
            Self::NotManual => text(
                "Only virtual machines that were entered by hand can be changed or deleted",
                "只能修改或删除手动登记的虚拟机",
                "変更や削除ができるのは手動で登録した仮想マシンだけです",
            ),
            Self::TooMuch { .. } => text(
                "Too much asked for: one answer holds at most {limit} values. Ask for a longer step, a shorter range, or fewer things and metrics",
                "请求的数据量过大：单次最多返回 {limit} 个值。请加大步长、缩短时间范围，或减少对象和指标",
                "要求されたデータが多すぎます。1 回の応答は最大 {limit} 個の値です。間隔を長くするか、期間を短くするか、対象やメトリクスを減らしてください",
            ),
            Self::TooManySamples { .. } => text(
                "More than {limit} samples would have to be read. Ask for steps of whole hours, a shorter range, or fewer things and metrics",
                "需要读取的样本超过 {limit} 个。请使用整小时步长、缩短时间范围，或减少对象和指标",
                "{limit} 個を超えるサンプルの読み取りが必要です。1 時間単位の間隔にするか、期間を短くするか、対象やメトリクスを減らしてください",
            ),
            Self::BodyTooLarge { .. } => text(
                "The body is too big: at most {limit} bytes",
                "请求体过大：最多 {limit} 字节",
                "本文が大きすぎます。最大 {limit} バイトです",
            ),
            Self::ContentType => text(
                "The body must be application/json",
                "请求体必须是 application/json",
                "本文は application/json でなければなりません",
            ),
            Self::TooManyRequests { .. } => text(
                "Too many requests; try again in {seconds} s",
                "请求过于频繁，请在 {seconds} 秒后重试",
                "リクエストが多すぎます。{seconds} 秒後に再試行してください",
            ),
            Self::Locked { .. } => text(
                "Too many wrong attempts; try again in {minutes} min",
                "错误次数过多，请在 {minutes} 分钟后重试",
                "失敗が多すぎます。{minutes} 分後に再試行してください",
            ),
            Self::TooManyExports => text(
                "Too many exports at once; wait until some have ended",
                "同时进行的导出过多，请等待部分导出完成",
                "同時に実行中のエクスポートが多すぎます。終わるのを待ってください",
            ),
            Self::Internal => text(
                "Internal error; the server's log says more",
                "内部错误，详情请查看服务器日志",
                "内部エラーが発生しました。詳細はサーバーのログを確認してください",
            ),
            Self::DatabaseUnavailable => text(
                "The database is unavailable; try again soon",
                "数据库不可用，请稍后重试",
                "データベースを利用できません。しばらくしてから再試行してください",
            ),
            Self::Full => text(
                "Too many live connections; try again later",
                "实时连接数已达上限，请稍后重试",
                "ライブ接続が上限に達しています。しばらくしてから再試行してください",
            ),
            Self::NoStorage => text(
                "No place for files is configured",
                "未配置文件存储位置",
                "ファイルの保存先が設定されていません",
            ),
        }
    }
}

const fn text(en: &'static str, zh: &'static str, ja: &'static str) -> Text {
    Text { en, zh, ja }
}
