//! Plans of slow statements, for whoever wants to know why: the server logs them as it runs them.

use crate::figure::progress;
use std::time::Duration;
use vmscope_harness::site::connect;

/// From now on, new connections to the database of `url` log the plans of statements that take at least so long, with what really
/// happened. Needs a superuser; costs the statements some of their time.
pub(super) async fn log(url: &str, least: Duration) -> anyhow::Result<()> {
    let client = connect(url).await?;
    let name: String = client.query_one("SELECT current_database()", &[]).await?.get(0);
    for (setting, value) in [
        ("session_preload_libraries", "auto_explain".to_owned()),
        (
            "auto_explain.log_min_duration",
            format!("{}ms", least.as_millis()),
        ),
        ("auto_explain.log_analyze", "on".to_owned()),
        ("auto_explain.log_buffers", "on".to_owned()),
        ("auto_explain.log_timing", "off".to_owned()),
    ] {
        let statement = format!("ALTER DATABASE {name} SET {setting} = '{value}'");
        client.batch_execute(&statement).await?;
    }
    progress("history: plans are in .dev/timescale.log");
    Ok(())
}
