//! What goes between the two sides in the middle of a call: one line each, from which both sides and the
//! schemas take the name.

/// `name on the wire: variant;`
macro_rules! names {
    ($(#[$about:meta])* $kind:ident { $($name:ident: $variant:ident;)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $kind {
            $(#[doc = concat!("`", stringify!($name), "`")] $variant,)*
        }

        impl $kind {
            /// Its name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)*
                }
            }

            /// The one of this name; `None` for one of a later version.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    /// What a manager may ask the agent.
    Callback {
        list_block_devices: ListBlockDevices;
        run_program: RunProgram;
        is_cancelled: IsCancelled;
    }
}

names! {
    /// What one side tells the other, and has no answer: `cancel` is the agent's, the others are the manager's.
    Notification {
        cancel: Cancel;
        progress: Progress;
        log: Log;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What docs/plugin-protocol.md calls them.
    #[test]
    fn each_has_its_name_and_no_other() {
        for (callback, name) in [
            (Callback::ListBlockDevices, "list_block_devices"),
            (Callback::RunProgram, "run_program"),
            (Callback::IsCancelled, "is_cancelled"),
        ] {
            assert_eq!(callback.as_str(), name);
            assert_eq!(Callback::named(name), Some(callback));
            assert_eq!(Notification::named(name), None);
        }
        for (notification, name) in [
            (Notification::Cancel, "cancel"),
            (Notification::Progress, "progress"),
            (Notification::Log, "log"),
        ] {
            assert_eq!(notification.as_str(), name);
            assert_eq!(Notification::named(name), Some(notification));
            assert_eq!(Callback::named(name), None);
        }
    }
}
