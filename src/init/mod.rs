//! PID 1 of the ramdisk: mounts, udev, network, and the supervision of the agent.
