//! The steps by which the threads of a client's connection take turns (`runtime/src/driver/handover.rs`), in every order in which
//! threads can take them, with every value that their processors may show them (loom).
//!
//! **Invariant**: what is explored is the runtime's own text. Where the model is cut off is said in `world.rs`; that it can
//! fail is shown with the mistakes of `build.rs`.

#[cfg(test)]
mod model;

/// The runtime's text, or that with a mistake in it, and the connection of `world.rs`.
#[cfg(test)]
macro_rules! handover {
    ($name:ident) => {
        #[expect(
            dead_code,
            unreachable_pub,
            clippy::unwrap_used,
            reason = "a model, of what it needs"
        )]
        mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    };
}

#[cfg(test)]
handover!(real);

/// What goes wrong, and where it shows.
#[cfg(test)]
macro_rules! mistakes {
    ($($name:ident: $scenario:ident),* $(,)?) => {
        $( handover!($name); )*

        const MISTAKES: &[(&str, fn())] = &[ $( (stringify!($name), $name::$scenario) ),* ];
    };
}

#[cfg(test)]
mistakes! {
    wish_is_not_seen: a_look_and_none,
    no_second_try: a_look_and_none,
    given_back_too_late: a_look_and_none,
    quiet_for_ever: quiet_and_no_look,
    no_look_behind: two_who_write,
    look_before_giving_back: two_who_write,
}

#[test]
fn a_call_after_a_look_is_answered() {
    real::a_look_and_none();
}

#[test]
fn a_call_after_callers_read_for_themselves_is_answered() {
    real::quiet_and_no_look();
}

#[test]
fn a_stream_that_is_read_by_whoever_takes_its_messages_goes_on() {
    real::a_stream_and_no_look();
}

#[test]
fn calls_at_once_are_written() {
    real::two_who_write();
}

#[test]
fn a_caller_who_looks_leaves_none_asleep() {
    real::one_looks_and_one_sleeps();
}

/// In processes of their own, since a model that fails leaves threads behind that end the process.
#[test]
fn every_mistake_is_found() {
    const VARIABLE: &str = "HANDOVER_MISTAKE";
    if let Ok(asked) = std::env::var(VARIABLE) {
        let (_, scenario) = MISTAKES.iter().find(|(name, _)| *name == asked).unwrap();
        return scenario();
    }
    for (name, _) in MISTAKES {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "every_mistake_is_found", "--nocapture"])
            .env(VARIABLE, name)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name} is not found");
        assert!(said.contains("deadlock"), "{name}: {said}");
    }
}
