//! Service manager of the machine: notifications of the host's state to systemd, and the socket that it may hand over.

use anyhow::{Context, bail};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::TcpListener;

/// Socket that systemd listens on for this process, if there is one (`lamina.socket`).
pub(super) fn listener() -> anyhow::Result<Option<TcpListener>> {
    let mut inherited = ListenFd::from_env();
    let sockets = inherited.len();
    if sockets > 1 {
        bail!("systemd hands over {sockets} sockets: lamina.socket may have one ListenStream=");
    }
    let listener = inherited
        .take_tcp_listener(0)
        .context("the inherited file descriptor is no TCP socket that listens")?;
    let Some(listener) = listener else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    Ok(Some(TcpListener::from_std(listener)?))
}

/// The host answers.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The host reads its configuration again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// The host finishes the requests in work.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Without systemd this does nothing.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd was not notified");
    }
}
