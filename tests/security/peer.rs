//! The other process of the security tests: a server, a client or a squatter, as another user.
//!
//! `security-peer serve|call|squat|children PATH [--uid N] [--groups N,N] [--config YAML]`
//!
//! `serve` serves the vault and says `ready`. `call` calls three of its methods and says how each ended. `squat` is no
//! server: it says `ready`, takes one connection, and says how many bytes it got. `children` says which descriptors a
//! child sees, before and after one of everything was opened. Each lives until its standard input ends.
//!
//! **Invariant**: uses what every program of a user can use.

#[path = "../transport/conditions.rs"]
mod conditions;
#[rustfmt::skip]
#[path = "../golden/access/rust/mod.rs"]
mod schema;
#[expect(dead_code, reason = "tests count the calls")]
mod vault;

use std::{
    error::Error,
    io::Read,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    process::{Command, Stdio, exit},
    time::Duration,
};

use daemoneye_ipc::{
    CallError, Channel, IpcConfig, Server,
    transport::{EndpointOptions, Listener, connect},
};

use self::{
    conditions::{say, told_to_stop},
    schema::golden::access::v1::{VaultClient, VaultServer},
    vault::{Holder, item},
};

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [role, path, options @ ..] = args.as_slice() else {
        eprintln!(
            "usage: security-peer serve|call|squat|children PATH [--uid N] [--groups N,N] [--config YAML]"
        );
        exit(2);
    };
    let mut yaml = "";
    for option in options.chunks(2) {
        match option {
            [name, text] if name == "--config" => yaml = text,
            _ => {
                if let Err(error) = conditions::apply(option) {
                    eprintln!("{option:?}: {error}");
                    exit(2);
                }
            }
        }
    }
    if let Err(error) = run(role, Path::new(path), yaml) {
        say(&format!("failed: {error}"));
    }
}

fn run(role: &str, path: &Path, yaml: &str) -> Result<(), Box<dyn Error>> {
    let mut config = IpcConfig::from_yaml(yaml, "--config")?;
    config.endpoint_path = path.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match role {
            "serve" => serve(config).await,
            "call" => call(config).await,
            "squat" => squat(path).await,
            _ => children(config).await,
        }
    })
}

async fn serve(config: IpcConfig) -> Result<(), Box<dyn Error>> {
    let vault = VaultServer::new(Holder::default());
    let server = Server::builder(config).add_service(vault).bind().await?;
    say("ready");
    server.serve_until(told_to_stop(), LIMIT).await?;
    Ok(())
}

async fn call(config: IpcConfig) -> Result<(), Box<dyn Error>> {
    let client = VaultClient::new(Channel::connect(config).await?);
    let ended = |result: Result<(), CallError>| match result {
        Ok(()) => "OK".to_owned(),
        Err(error) => error.code().to_string(),
    };
    let look = ended(client.look(item("")).await.map(drop));
    let open = ended(client.open(item("")).await.map(drop));
    let fill = async { client.fill().await?.finish().await.map(drop) };
    say(&format!(
        "look {look}, open {open}, fill {}",
        ended(fill.await)
    ));
    told_to_stop().await;
    Ok(())
}

async fn squat(path: &Path) -> Result<(), Box<dyn Error>> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    say("ready");
    let (mut taken, _) = listener.accept()?;
    let mut got = Vec::new();
    taken.set_read_timeout(Some(Duration::from_millis(500)))?;
    let _ = taken.read_to_end(&mut got);
    say(&format!("got {} bytes", got.len()));
    told_to_stop().await;
    Ok(())
}

/// Descriptors as a child sees them, its own look at the folder among them.
fn seen_by_a_child() -> Result<String, Box<dyn Error>> {
    let mut child = Command::new("ls");
    child
        .arg("/proc/self/fd")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let listed = String::from_utf8(child.output()?.stdout)?;
    Ok(listed.split_whitespace().collect::<Vec<_>>().join(" "))
}

async fn children(config: IpcConfig) -> Result<(), Box<dyn Error>> {
    say(&seen_by_a_child()?);
    let second = config.endpoint_path.with_extension("second");
    let vault = VaultServer::new(Holder::default());
    let server = Server::builder(config.clone())
        .add_service(vault)
        .bind()
        .await?;
    let serving = tokio::spawn(server.serve_until(std::future::pending(), LIMIT));
    let client = VaultClient::new(Channel::connect(config).await?);
    client.look(item("")).await?;
    let listener = Listener::bind(&second, &EndpointOptions::default()).await?;
    let (near, far) = tokio::join!(connect(&second, LIMIT), listener.accept());
    let (near, far) = (near?, far?);
    let processes = (near.peer_process(), far.peer_process());
    say(&seen_by_a_child()?);
    drop((processes, serving));
    told_to_stop().await;
    Ok(())
}
