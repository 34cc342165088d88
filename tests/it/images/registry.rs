//! Debian's `docker-registry`, which `tests/run` installs.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A registry on its own port; stopped on drop.
pub struct Registry {
    child: Child,
    pub host: String,
    dir: TempDir,
}

/// User name and password of a registry with authentication, as `htpasswd` writes them.
pub const LOGIN: (&str, &str) = ("robot", "secret");
const HTPASSWD: &str = "robot:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

impl Registry {
    pub async fn start() -> Self {
        Self::started("").await
    }

    /// A registry that only [`LOGIN`] may read.
    pub async fn closed() -> Self {
        Self::started("auth:\n  htpasswd: {realm: tests, path: HTPASSWD}\n").await
    }

    async fn started(more: &str) -> Self {
        let port = free_port();
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("htpasswd"), HTPASSWD).expect("a file");
        let more = more.replace("HTPASSWD", &path("htpasswd"));
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
             http:\n  addr: 127.0.0.1:{port}\n{more}",
            path("data")
        );
        std::fs::write(path("config.yml"), config).expect("a file");
        let child = Command::new("docker-registry")
            .args(["serve", &path("config.yml")])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("log")).expect("a file"))
            .spawn()
            .expect("docker-registry runs; tests/run installs it");
        let mut registry = Self {
            child,
            host: format!("127.0.0.1:{port}"),
            dir,
        };
        for _ in 0..600 {
            if answers(&registry.host).await.is_ok() {
                return registry;
            }
            let log = || std::fs::read_to_string(registry.dir.path().join("log"));
            let ended = registry.child.try_wait().expect("a child");
            assert!(ended.is_none(), "docker-registry ended: {:?}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("docker-registry does not answer");
    }

    /// Stops it; its directory is deleted.
    pub fn stop(self) {
        drop(self);
    }

    /// Settings of a host that may pull from it.
    pub fn settings(&self) -> String {
        format!("[[images.registries]]\nhost = \"{}\"\n", self.host)
    }

    /// The same with a login.
    pub fn settings_with_login(&self) -> String {
        let (username, password) = LOGIN;
        let login = format!("username = \"{username}\"\npassword = \"{password}\"\n");
        format!("{}{login}", self.settings())
    }

    /// Reference of an image in it.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Ended already if it could not start.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = &self.dir;
    }
}

/// A port that nothing listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it is bound").port()
}

/// Waits for an answer.
async fn answers(host: &str) -> std::io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(host).await?;
    let request = format!("GET /v2/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.read_u8().await.map(drop)
}
