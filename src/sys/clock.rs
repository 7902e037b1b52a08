//! The clocks: times as text, setting the system's and the hardware's.

#![expect(unsafe_code, reason = "ioctl")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};

/// No time before this one can be now, in seconds since 1970: 2026-11-01, the first day of the month of
/// the release. To be moved on with each release; one that is older only shows fewer clocks as wrong.
pub(crate) const RELEASED: u64 = 1_793_491_200;

/// Whether this time shows that the clock was never set, or has lost its battery.
pub(crate) fn is_unset(time: SystemTime) -> bool {
    time.duration_since(UNIX_EPOCH)
        .map_or(true, |since| since.as_secs() < RELEASED)
}

/// A time as `2026-11-22T07:14:20.123Z`. Times before 1970 are shown as 1970.
pub(crate) fn utc_text(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        since.subsec_millis()
    )
}

/// Set the system clock. Needs CAP_SYS_TIME.
pub(crate) fn set(time: SystemTime) -> nix::Result<()> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::from_duration(since))
}

/// Store a time in the hardware clock, in UTC, as `hwclock --systohc --utc` does.
pub(crate) fn store_in_hardware(time: SystemTime) -> io::Result<()> {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    // Every field is far below i32::MAX; the kernel ignores the last three (rtc.h, struct rtc_time).
    let rtc = RtcTime {
        seconds: (seconds % 60) as i32,
        minutes: (seconds / 60 % 60) as i32,
        hours: (seconds / 3600 % 24) as i32,
        day: day as i32,
        month: month as i32 - 1,
        year: year as i32 - 1900,
        ..RtcTime::default()
    };
    let device = File::open("/dev/rtc0")?;
    // SAFETY: the descriptor is open, and the request reads one struct rtc_time, whose layout
    // RtcTime has, from a reference that lives across the call.
    unsafe { ioctl::rtc_set_time(device.as_raw_fd(), &raw const rtc) }?;
    Ok(())
}

/// `struct rtc_time` of linux/rtc.h.
#[repr(C)]
#[derive(Default)]
struct RtcTime {
    seconds: i32,
    minutes: i32,
    hours: i32,
    day: i32,
    month: i32,
    year: i32,
    day_of_week: i32,
    day_of_year: i32,
    daylight_saving: i32,
}

mod ioctl {
    use super::RtcTime;

    // RTC_SET_TIME of linux/rtc.h.
    nix::ioctl_write_ptr!(rtc_set_time, b'p', 0x0a, RtcTime);
}

/// Year, month and day of a day counted from 1970-01-01: Howard Hinnant's `civil_from_days`, for
/// days from 1970 on.
fn civil(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_from_before_the_release_was_never_set() {
        let released = UNIX_EPOCH + Duration::from_secs(RELEASED);
        assert_eq!(utc_text(released), "2026-11-01T00:00:00.000Z");
        for (time, unset) in [
            (UNIX_EPOCH - Duration::from_secs(1), true),
            (UNIX_EPOCH, true),
            (released - Duration::from_secs(1), true),
            (released, false),
            (SystemTime::now(), false),
        ] {
            assert_eq!(is_unset(time), unset, "{time:?}");
        }
    }

    #[test]
    fn times_are_shown_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_795_331_660, "2026-11-22T07:14:20.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
        ] {
            assert_eq!(utc_text(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
