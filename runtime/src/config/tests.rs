//! The settings as users write them, right and wrong.
//!
//! **Invariant**: no test changes the environment of the process.

use proptest::prelude::*;

use super::*;

/// An endpoint that is none of the defaults.
const ENDPOINT: &str = if cfg!(windows) {
    r"\\.\pipe\x"
} else {
    "/run/x.sock"
};

/// What is said of a path that is no endpoint's.
const NAMES_NOTHING: &str = if cfg!(windows) {
    "does not name a pipe"
} else {
    "does not name a socket"
};

fn vars(pairs: &[(&str, &str)]) -> impl Iterator<Item = env::Var> + use<> {
    let pairs: Vec<env::Var> = pairs.iter().map(|(k, v)| (k.into(), v.into())).collect();
    pairs.into_iter()
}

fn text_of(result: Result<IpcConfig, IpcError>) -> String {
    match result {
        Err(error @ IpcError::Config { .. }) => error.to_string(),
        other => panic!("no configuration error: {other:?}"),
    }
}

#[test]
fn the_defaults_are_valid_and_documented_values() {
    let config = IpcConfig::default();
    config.validate().unwrap();
    assert_eq!(config.max_frame_bytes, 1_048_576);
    assert_eq!(
        (config.read_timeout_ms, config.write_timeout_ms),
        (30_000, 10_000)
    );
    assert_eq!(config.max_connections, 16);
    assert_eq!(config.crc32_variant, Crc32Variant::Ieee);
    assert_eq!(IpcConfig::from_yaml("", "x").unwrap(), config);
    assert_eq!(IpcConfig::from_yaml("ipc:\n", "x").unwrap(), config);
    assert_eq!(
        IpcConfig::from_yaml("database: {url: x}\nlist: [1, {a: 2}]\n", "x").unwrap(),
        config
    );
}

#[test]
fn a_section_sets_what_it_names_and_nothing_else() {
    let yaml = "log: debug\nipc:\n  endpoint_path: ENDPOINT\n  crc32_variant: castagnoli\n  \
                reconnect:\n    multiplier: 1.5\n";
    let config = IpcConfig::from_yaml(&yaml.replace("ENDPOINT", ENDPOINT), "x").unwrap();
    let mut expected = IpcConfig::new(ENDPOINT);
    expected.crc32_variant = Crc32Variant::Castagnoli;
    expected.reconnect.multiplier = 1.5;
    assert_eq!(config, expected);
}

#[test]
fn every_mistake_in_a_file_names_file_line_and_key() {
    let cases = [
        (
            "ipc:\n  max_frame_bytes: 0\n",
            "a.yaml:2: ipc.max_frame_bytes",
            "0 is not allowed; use a whole number from 256",
        ),
        (
            "x: 1\nipc:\n  limits:\n    max_calls: 0\n",
            "a.yaml:4: ipc.limits.max_calls",
            "from 1 to 65536 calls",
        ),
        (
            "ipc:\n  max_calls: 3\n",
            "a.yaml:2: ipc.max_calls",
            "unknown field",
        ),
        (
            "ipc:\n  limits: {max_call: 3}\n",
            "a.yaml:2: ipc.limits.max_call",
            "max_calls",
        ),
        (
            "ipc:\n  read_timeout_ms: soon\n",
            "a.yaml:2: ipc.read_timeout_ms",
            "use a whole number from 1 to",
        ),
        (
            "ipc:\n  read_timeout_ms: -1\n",
            "a.yaml:2: ipc.read_timeout_ms",
            "whole number",
        ),
        (
            "ipc:\n  crc32_variant: md5\n",
            "a.yaml:2: ipc.crc32_variant",
            "castagnoli",
        ),
        (
            "ipc:\n\n  reconnect:\n    multiplier: .nan\n",
            "a.yaml:4: ipc.reconnect.multiplier",
            "from 1 to 100",
        ),
        (
            "ipc:\n  reconnect:\n    max_backoff_ms: 5\n",
            "a.yaml:3: ipc.reconnect.max_backoff_ms",
            "20",
        ),
        (
            "ipc:\n  endpoint_path: ''\n",
            "a.yaml:2: ipc.endpoint_path",
            NAMES_NOTHING,
        ),
        (
            "ipc:\n  max_frame_bytes: 4096\n  max_frame_bytes: 4096\n",
            "a.yaml:3",
            "max_frame_bytes",
        ),
        ("ipc: [1, 2]\n", "a.yaml:1", ""),
        ("ipc:\n  \"x: 1\n", "a.yaml:", ""),
    ];
    for (yaml, place, word) in cases {
        let text = text_of(IpcConfig::from_yaml(yaml, "a.yaml"));
        assert!(
            text.starts_with(place) && text.contains(word),
            "{yaml:?} gives {text:?}"
        );
        assert!(!text.contains('\n'), "{text:?} is more than a line");
    }
}

#[test]
fn over_long_paths_are_refused_with_both_lengths() {
    let root = if cfg!(windows) { r"\\.\pipe\" } else { "/" };
    let fits = format!("{root}{}", "a".repeat(MAX_ENDPOINT_BYTES - root.len()));
    IpcConfig::new(&fits).validate().unwrap();
    let error = IpcConfig::new(format!("{fits}a"))
        .validate()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("{} bytes", MAX_ENDPOINT_BYTES + 1)),
        "{error}"
    );
    assert!(
        error.contains(&format!("at most {MAX_ENDPOINT_BYTES}")),
        "{error}"
    );
}

#[test]
fn every_setting_has_a_variable_and_a_rule() {
    let keys = env::keys();
    let mut ruled = check::ruled_keys();
    let mut sorted: Vec<&str> = keys.iter().map(String::as_str).collect();
    ruled.sort_unstable();
    sorted.sort_unstable();
    assert_eq!(sorted, ruled);
    assert!(
        keys.iter()
            .any(|key| env::variable(key) == "DAEMONEYE_IPC_LIMITS_MAX_CALLS")
    );
}

#[test]
fn variables_override_the_file_and_may_correct_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daemoneye.yaml");
    std::fs::write(&path, "ipc:\n  max_connections: 0\n  write_timeout_ms: 7\n").unwrap();
    let fixed = [
        ("DAEMONEYE_IPC_MAX_CONNECTIONS", "3"),
        ("DAEMONEYE_IPC_RECONNECT_MULTIPLIER", "3"),
    ];
    let config = IpcConfig::load_with(Some(&path), vars(&fixed)).unwrap();
    assert_eq!((config.max_connections, config.write_timeout_ms), (3, 7));
    assert_eq!(config.reconnect.multiplier, 3.0);
    let text = text_of(IpcConfig::load_with(Some(&path), vars(&[])));
    assert!(
        text.starts_with(&format!("{}:2: ipc.max_connections", path.display())),
        "{text}"
    );
}

#[test]
fn every_mistake_in_a_variable_names_it() {
    let cases = [
        (
            "DAEMONEYE_IPC_MAX_FRAMES",
            "3",
            "DAEMONEYE_IPC_MAX_FRAME_BYTES",
        ),
        ("DAEMONEYE_IPC_LIMITS", "3", "no such setting"),
        ("DAEMONEYE_IPC_MAX_FRAME_BYTES", "0", "from 256"),
        (
            "DAEMONEYE_IPC_MAX_FRAME_BYTES",
            "many",
            "`many` is not a number; use a whole number from 256",
        ),
        ("DAEMONEYE_IPC_MAX_FRAME_BYTES", "-5", "-5"),
        ("DAEMONEYE_IPC_MAX_FRAME_BYTES", "1.5", "1.5"),
        ("DAEMONEYE_IPC_CRC32_VARIANT", "md5", "castagnoli"),
        ("DAEMONEYE_IPC_RECONNECT_MULTIPLIER", "0", "from 1 to 100"),
        ("DAEMONEYE_IPC_ENDPOINT_PATH", "", NAMES_NOTHING),
    ];
    for (name, value, word) in cases {
        let text = text_of(IpcConfig::load_with(None, vars(&[(name, value)])));
        assert!(
            text.starts_with(&format!("{name}: ")) && text.contains(word),
            "{text}"
        );
    }
    IpcConfig::load_with(None, vars(&[("DAEMONEYE_LOG", "x"), ("PATH", "")])).unwrap();
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf8_is_a_path() {
    use std::os::unix::ffi::OsStringExt;
    let path = std::ffi::OsString::from_vec(b"/run/\xff.sock".to_vec());
    let both = [
        ("DAEMONEYE_IPC_ENDPOINT_PATH".into(), path.clone()),
        ("DAEMONEYE_IPC_MAX_CONNECTIONS".into(), "9".into()),
    ];
    let config = IpcConfig::load_with(None, both.into_iter()).unwrap();
    assert_eq!(
        (
            config.endpoint_path.into_os_string(),
            config.max_connections
        ),
        (path, 9)
    );
}

#[test]
fn a_missing_file_is_named() {
    let text = text_of(IpcConfig::load(Some(Path::new("/nonexistent/a.yaml"))));
    assert!(
        text.starts_with("/nonexistent/a.yaml: the file cannot be read"),
        "{text}"
    );
}

#[test]
fn numbers_aliases_and_merges_are_those_of_yaml() {
    let yaml = "common: &common\n  max_calls: 0x40\n  drain_timeout_ms: 3\nwait: &wait +250\n\
                ipc:\n  read_timeout_ms: *wait\n  write_timeout_ms: \"7\"\n  limits:\n    <<: *common\n    \
                drain_timeout_ms: 9\n  reconnect:\n    multiplier: 5.\n  circuit_breaker: ~\n";
    let mut expected = IpcConfig::default();
    (expected.read_timeout_ms, expected.write_timeout_ms) = (250, 7);
    (expected.limits.max_calls, expected.limits.drain_timeout_ms) = (64, 9);
    expected.reconnect.multiplier = 5.0;
    assert_eq!(IpcConfig::from_yaml(yaml, "x").unwrap(), expected);
}

#[test]
fn what_is_no_configuration_is_refused_with_its_place() {
    let deep = format!("ipc:\n  limits: {}1{}\n", "{a: ".repeat(60), "}".repeat(60));
    let aliases = (1..500).map(|n| format!("a{n}: &a{n} {{a: {{a: *a{}}}}}\n", n - 1));
    let long = format!("a0: &a0 1\n{}ipc: *a499\n", aliases.collect::<String>());
    let wide = "b: *a0, ".repeat(2000);
    let wide = (1..5).map(|n| {
        format!(
            "a{n}: &a{n} {{{}}}\n",
            wide.replace("a0", &format!("a{}", n - 1))
        )
    });
    let wide = format!("a0: &a0 {{}}\n{}ipc: *a4\n", wide.collect::<String>());
    let names = format!(
        "a: &a {}\nipc:\n{}",
        "x".repeat(100_000),
        "  *a : 1\n".repeat(20_000)
    );
    let cases = [
        (&*wide, "x:6: expected settings"),
        (&names, "x:4: ipc.?: `?` is already on line 3"),
        ("[1]", "x:1: expected sections"),
        ("ipc: 3\n", "x:1: expected settings"),
        (
            "a: 1\nipc:\n  limits: 3\n",
            "x:3: ipc.limits: expected settings",
        ),
        (
            "ipc:\n  max_connections:\n",
            "x:2: ipc.max_connections: no value is given; use",
        ),
        (
            "ipc:\n  max_connections: [3]\n",
            "x:2: ipc.max_connections: expected one value; use",
        ),
        ("ipc: {}\nipc: {}\n", "x:2: `ipc` is already on line 1"),
        (
            "ipc: &a\n  limits: *a\n",
            "x:2: the alias stands in what it names",
        ),
        ("ipc:\n  ? [a]\n  : 1\n", "x:2: ipc.?: unknown field"),
        ("a: 1\n---\nipc: {}\n", "x:2: a second document"),
        (&deep, "x:2: ipc.limits: expected settings"),
        (&long, "x:500: ipc.a: unknown field"),
    ];
    for (yaml, expected) in cases {
        let text = text_of(IpcConfig::from_yaml(yaml, "x"));
        assert!(text.starts_with(expected), "{yaml:.99?} gives {text:?}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(ipc:\n)?[ -~\n]{0,200}") {
        let _ = IpcConfig::from_yaml(&text, "x");
    }

    #[test]
    fn what_is_written_is_read_back(
        max_frame_bytes in 256_usize..=256 << 20,
        read_timeout_ms in 1_u64..=86_400_000,
        max_calls in 1_usize..=65_536,
        multiplier in 1.0_f64..=100.0,
    ) {
        let mut config = IpcConfig { max_frame_bytes, read_timeout_ms, ..IpcConfig::default() };
        config.limits.max_calls = max_calls;
        config.reconnect.multiplier = multiplier;
        // JSON is YAML.
        let text = format!("{{\"ipc\": {}}}", serde_json::to_string(&config).unwrap());
        prop_assert_eq!(IpcConfig::from_yaml(&text, "x").unwrap(), config);
    }
}
