//! What masking may cost, and that a cut shows no part of a secret.

use std::time::Duration;

use super::{hide, mask, mask_cut};

/// Processor time of this thread.
fn processor_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

/// What a peer without a token makes of a request's path, and what it costs today: each took
/// four times as long for twice the length, some seconds for 60 kB.
#[test]
fn the_time_is_in_proportion_to_the_length() {
    for unit in [
        "://a:b@",
        "password=",
        "password= ",
        "--",
        "--password ",
        "secret:",
        "?key=",
        "?sig=a&key=",
        "\"password\": ",
        "password=Some(\\",
        "password \"' ",
        "é:",
        "=",
        "https://x",
        "zq7y",
        "***",
        "PRIVATE KEY-----",
        "PRIVATE KEY-----\n-----END ",
        "b3BlbnNzaC1rZXktdj",
        "b3BlbnNzaC1rZXktdj:\n",
    ] {
        hide("zq7y");
        let time = |length: usize| {
            let text = format!("GET /{}", unit.repeat(length / unit.len()));
            let runs = (0..3).map(|_| {
                let before = processor_time();
                let _ = mask(&text);
                processor_time() - before
            });
            runs.min().unwrap()
        };
        let (short, long) = (time(60_000), time(240_000));
        println!("{unit:?}: {short:?} for 60 kB, {long:?} for 240 kB");
        // Sixteen times as long where each byte is looked at for each.
        let bound = short * 8 + Duration::from_millis(5);
        assert!(long < bound, "{unit:?}: {short:?}, then {long:?}");
    }
}

#[test]
fn a_cut_text_keeps_no_part_of_a_secret() {
    let secret = "cut-somewhere-in-the-middle-of-this";
    hide(secret);
    for before in 0..120 {
        let text = format!(
            "{} {secret} password=cut {}",
            "é".repeat(before / 2),
            "x".repeat(90)
        );
        let masked = mask_cut(&text, 60);
        assert!(masked.len() < 60 + 32, "{masked}");
        assert!(
            !masked.contains("cut-") && !masked.contains("=cut"),
            "{masked}"
        );
    }
    for before in 0..1200 {
        let text = format!(
            "{} https://me:cut-off@h/{}",
            "x".repeat(before),
            "y".repeat(3000)
        );
        let masked = mask_cut(&text, 600);
        assert!(!masked.contains(":c"), "{before}: {masked}");
    }
    assert_eq!(mask_cut("short", 60), "short");
    let long = mask_cut(&"y".repeat(100_000), 8192);
    assert!(long.ends_with(" bytes left out)"), "{}", &long[8000..]);
    assert!(long.len() < 8192 + 40);
}
