//! When the server is asked, and who waits for it.

use std::sync::Mutex;

use super::*;

const SERVER: &str = "192.0.2.5";

/// A server of a test, and a clock.
#[derive(Clone, Default)]
struct Fake {
    asked: Arc<Mutex<Vec<Duration>>>,
    set: Arc<Mutex<Vec<SystemTime>>>,
}

impl Fake {
    /// Asked from now on: there is a route after so long, and an answer to that try.
    fn clock(&self, route_after: Duration, answered_try: usize, must_be_set: bool) -> Clock {
        let begun = Instant::now();
        let (asked, set) = (Arc::clone(&self.asked), Arc::clone(&self.set));
        Clock::asking(must_be_set, move |standing| async move {
            let source = Source {
                server: SERVER,
                has_route: || begun.elapsed() >= route_after,
                time: || {
                    let mut asked = asked.lock().unwrap();
                    asked.push(begun.elapsed());
                    let answers = asked.len() >= answered_try;
                    async move {
                        if answers {
                            return Ok(the_time());
                        }
                        sleep(ntp::LIMIT).await;
                        Err(no_answer())
                    }
                },
                set: |time| {
                    set.lock().unwrap().push(time);
                    Ok(())
                },
            };
            let status = Status::default();
            source.ask_until_set(&standing, &status, must_be_set).await;
        })
    }

    fn asked(&self) -> Vec<f64> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(Duration::as_secs_f64).collect()
    }
}

fn the_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_331_660)
}

fn no_answer() -> NtpError {
    NtpError::Answer {
        server: SERVER.to_owned(),
        source: std::io::ErrorKind::TimedOut.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_is_asked_once_there_is_a_route_and_until_it_answers() {
    let fake = Fake::default();
    let _clock = fake.clock(Duration::from_secs(40), 5, false);
    sleep(Duration::from_secs(39)).await;
    assert!(fake.asked().is_empty());
    sleep(Duration::from_secs(3600)).await;
    let asked = fake.asked();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert!((40.0..40.2).contains(&asked[0]), "{asked:?}");
    for pair in asked.windows(2) {
        let pause = pair[1] - pair[0] - ntp::LIMIT.as_secs_f64();
        assert!((4.9..60.1).contains(&pause), "{asked:?}");
    }
    assert_eq!(*fake.set.lock().unwrap(), [the_time()]);
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_is_waited_for() {
    let fake = Fake::default();
    let mut clock = fake.clock(Duration::from_secs(5), 1, false);
    let network = sleep(Duration::from_secs(4));
    clock.ready(network).await.unwrap();
    assert_eq!(fake.set.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_an_answer_or_a_route_holds_nobody_up() {
    for route_after in [0, 100_000] {
        let fake = Fake::default();
        let begun = Instant::now();
        let mut clock = fake.clock(Duration::from_secs(route_after), usize::MAX, false);
        clock.ready(sleep(Duration::from_secs(3))).await.unwrap();
        let waited = begun.elapsed().as_secs_f64();
        assert!((7.9..11.1).contains(&waited), "{waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_must_be_set_is_waited_for() {
    let fake = Fake::default();
    let mut clock = fake.clock(Duration::from_secs(100), 4, true);
    clock.ready(async {}).await.unwrap();
    assert_eq!(fake.asked().len(), 4);
    assert_eq!(fake.set.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_never_gets_better_ends_the_asking() {
    for must_be_set in [false, true] {
        let options = Options {
            ntp_server: Some("a b".to_owned()),
            fail_if_clock_not_set: must_be_set,
            ..Options::default()
        };
        let status = Arc::new(Status::default());
        let mut clock = Clock::start(&options, &Resolver::default(), &status);
        let ready = clock.ready(std::future::pending()).await;
        match ready {
            Err(AgentError::Clock(error)) if must_be_set => {
                assert_eq!(error.chain(), "Invalid NTP server address: a b");
            }
            Ok(()) if !must_be_set => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_server_nobody_waits() {
    let status = Arc::new(Status::default());
    let options = Options {
        fail_if_clock_not_set: true,
        ..Options::default()
    };
    let mut clock = Clock::start(&options, &Resolver::default(), &status);
    clock.ready(std::future::pending()).await.unwrap();
}

#[test]
fn a_clock_that_nobody_has_set_is_told_with_what_follows() {
    let status = Status::default();
    assert_eq!(tell_if_unset(&status, SystemTime::now()), None);
    let told = tell_if_unset(&status, SystemTime::UNIX_EPOCH).unwrap();
    for part in ["1970-01-01T00:00:00", "certificate", "ipa-ntp-server"] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn how_wrong_it_was_is_said_in_two_units() {
    for (seconds, words) in [
        (1.3, "1.3 s"),
        (59.0, "59.0 s"),
        (200.0, "3 min 20 s"),
        (7200.0, "2 h"),
        (817_700_460.0, "9464 days 3 h"),
    ] {
        assert_eq!(in_words(Duration::from_secs_f64(seconds)), words);
    }
}
