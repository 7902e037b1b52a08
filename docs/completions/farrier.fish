# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_farrier_global_optspecs
    string join \n config-file= config-dir= api_url= global_request_id= listen_host= listen_port= listen_tls nolisten_tls tls_cert_file= tls_key_file= enable_auto_tls noenable_auto_tls auto_tls_allowed_clock_skew= tls_min_version= tls_cipher_suites= tls_certificate_curve= advertise_host= advertise_port= advertise_protocol= ip_lookup_attempts= ip_lookup_sleep= network_interface= lookup_timeout= lookup_interval= lldp_timeout= collect_lldp nocollect_lldp inspection_callback_url= inspection_collectors= inspection_dhcp_wait_timeout= inspection_dhcp_all_interfaces noinspection_dhcp_all_interfaces hardware_initialization_delay= disk_wait_attempts= disk_wait_delay= insecure noinsecure cafile= certfile= keyfile= introspection_daemon nointrospection_daemon introspection_daemon_post_interval= ntp_server= fail_if_clock_not_set nofail_if_clock_not_set agent_token= allow_reads_without_token noallow_reads_without_token image_server_user= image_server_password= image_server_auth_strategy= image_download_connection_timeout= image_download_connection_retries= image_download_connection_retry_interval= image_download_max_duration= ironic_api_version= enable_vlan_interfaces= ignore_bootloader_failure noignore_bootloader_failure inject_files_priority= guard-special-filesystems noguard-special-filesystems enable_discard_erase noenable_discard_erase enable_scsi_sanitize noenable_scsi_sanitize enable_scsi_format_unit noenable_scsi_format_unit erase_record_url= erase_record_method= erase_record_required noerase_record_required md5_enabled nomd5_enabled http_request_timeout= config_drive_rebuild noconfig_drive_rebuild disable_deep_image_inspection nodisable_deep_image_inspection verify_written_image noverify_written_image permitted_image_formats= disable_bootc_deploy nodisable_bootc_deploy enable_bios_bootloader_install noenable_bios_bootloader_install hardware_manager_directories= enabled_hardware_managers= disabled_hardware_managers= required_hardware_managers= hardware_manager_step_timeout= debug nodebug watch-log-file nowatch-log-file use-syslog nouse-syslog use-journal nouse-journal use-json nouse-json use-stderr nouse-stderr log-color nolog-color use-eventlog nouse-eventlog log-file= log-dir= logdir= logfile= log-config-append= log-date-format= h/help V/version
end

function __fish_farrier_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_farrier_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_farrier_using_subcommand
    set -l cmd (__fish_farrier_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c farrier -n "__fish_farrier_needs_command" -l config-file -d 'Read this file in place of the default ones' -r -F
complete -c farrier -n "__fish_farrier_needs_command" -l config-dir -d 'Read this directory\'s *.conf in place of the default ones' -r -F
complete -c farrier -n "__fish_farrier_needs_command" -l api_url -d 'The conductor\'s API root URLs, tried in order; `mdns` asks the network (kernel: ipa-api-url)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l global_request_id -d 'Sent as `X-OpenStack-Request-ID` on every request to the conductor (kernel: ipa-global-request-id)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l listen_host -d 'Address the command API binds to; unset: `::` where the kernel has IPv6, else `0.0.0.0` (kernel: ipa-listen-host)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l listen_port -d 'Port the command API binds to [default: 9999] (kernel: ipa-listen-port)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l tls_cert_file -d 'Server certificate, PEM' -r
complete -c farrier -n "__fish_farrier_needs_command" -l tls_key_file -d 'Server key, PEM' -r
complete -c farrier -n "__fish_farrier_needs_command" -l auto_tls_allowed_clock_skew -d 'Seconds taken off the own certificate\'s notBefore [default: 3600]' -r
complete -c farrier -n "__fish_farrier_needs_command" -l tls_min_version -d 'Lowest TLS version, as server and as client [default: 1.2] (kernel: ipa-tls-min-version)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l tls_cipher_suites -d 'TLS 1.2 cipher suites, OpenSSL\'s names joined with `:` (kernel: ipa-tls-cipher-suites)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l tls_certificate_curve -d 'Curve of the own certificate\'s key [default: p384] (kernel: ipa-tls-certificate-curve)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l advertise_host -d 'Address put into the callback URL; unset: found by route (kernel: ipa-advertise-host)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l advertise_port -d 'Port put into the callback URL [default: 9999] (kernel: ipa-advertise-port)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l advertise_protocol -d 'Scheme put into the callback URL; an own certificate makes it `https` [default: http] (kernel: ipa-advertise-protocol)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l ip_lookup_attempts -d 'Rounds of the search for the advertised address, at least 1 [default: 6] (kernel: ipa-ip-lookup-attempts)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l ip_lookup_sleep -d 'Seconds between the rounds of that search [default: 10] (kernel: ipa-ip-lookup-timeout)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l network_interface -d 'Take the advertised address from this interface (kernel: ipa-network-interface)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l lookup_timeout -d 'Seconds for all tries of a lookup [default: 600] (kernel: ipa-lookup-timeout)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l lookup_interval -d 'Least seconds between two tries of a lookup [default: 1] (kernel: ipa-lookup-interval)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l lldp_timeout -d 'Seconds to listen for LLDP [default: 30] (kernel: ipa-lldp-timeout)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l inspection_callback_url -d 'Where inspection data goes (kernel: ipa-inspection-callback-url)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l inspection_collectors -d 'Collectors in order, comma separated; unset: `default,logs` (kernel: ipa-inspection-collectors)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l inspection_dhcp_wait_timeout -d 'Seconds to wait for an address before inspection; 0 does not wait [default: 60] (kernel: ipa-inspection-dhcp-wait-timeout)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l hardware_initialization_delay -d 'Seconds to wait after the managers were initialised [default: 0] (kernel: ipa-hardware-initialization-delay)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l disk_wait_attempts -d 'How often the root disk is looked for; 0 does not wait [default: 10] (kernel: ipa-disk-wait-attempts)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l disk_wait_delay -d 'Seconds between two looks for the root disk [default: 3] (kernel: ipa-disk-wait-delay)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l cafile -d 'CA bundle for outbound HTTPS; unset: the system\'s' -r
complete -c farrier -n "__fish_farrier_needs_command" -l certfile -d 'Client certificate for outbound HTTPS' -r
complete -c farrier -n "__fish_farrier_needs_command" -l keyfile -d 'Key of the client certificate' -r
complete -c farrier -n "__fish_farrier_needs_command" -l introspection_daemon_post_interval -d 'Seconds between two inspections of that, at least 1; by chance from 0.7 to 1.2 times that [default: 300]' -r
complete -c farrier -n "__fish_farrier_needs_command" -l ntp_server -d 'NTP server for the clock (kernel: ipa-ntp-server)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l agent_token -d 'Token agreed before the boot (kernel: ipa-agent-token)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l image_server_user -d 'User for images, with `http_basic`' -r
complete -c farrier -n "__fish_farrier_needs_command" -l image_server_password -d 'Password for images, with `http_basic`' -r
complete -c farrier -n "__fish_farrier_needs_command" -l image_server_auth_strategy -d 'How images are asked for: `noauth` or `http_basic` [default: noauth]' -r
complete -c farrier -n "__fish_farrier_needs_command" -l image_download_connection_timeout -d 'Seconds for a connection or a read of a download, at least 1 [default: 60] (kernel: ipa-image-download-connection-timeout)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l image_download_connection_retries -d 'Tries of a download after the first [default: 9] (kernel: ipa-image-download-connection-retries)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l image_download_connection_retry_interval -d 'Seconds between two tries of a download [default: 10] (kernel: ipa-image-download-connection-retry-interval)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l image_download_max_duration -d 'Seconds for a download in all; 0 sets no limit [default: 0] (kernel: ipa-image-download-max-duration)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l ironic_api_version -d 'The conductor\'s API version, `1.N`; unset: it is asked for (kernel: ipa-ironic-api-version)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l enable_vlan_interfaces -d 'VLAN interfaces to make (kernel: ipa-enable-vlan-interfaces)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l inject_files_priority -d 'Priority of the step inject_files, 0 to 99 [default: 0] (kernel: ipa-inject-files-priority)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l erase_record_url -d 'Where erase records are sent: an `http://` or `https://` URL (kernel: ipa-erase-record-url)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l erase_record_method -d 'How erase records are sent: `POST` to the URL, or `PUT` below it [default: POST] (kernel: ipa-erase-record-method)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l http_request_timeout -d 'Seconds for a request to the conductor, at least 1 [default: 30] (kernel: ipa-http-request-timeout)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l permitted_image_formats -d 'Image formats that may be written [default: raw,gpt,qcow2]' -r
complete -c farrier -n "__fish_farrier_needs_command" -l hardware_manager_directories -d 'Where plugins lie, the first directory first [default: /opt/farrier/plugins] (kernel: ipa-hardware-manager-directories)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l enabled_hardware_managers -d 'The plugins to start, by name; empty starts all. Their order is that of equal support levels (kernel: ipa-enabled-hardware-managers)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l disabled_hardware_managers -d 'Plugins not to start, by name (kernel: ipa-disabled-hardware-managers)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l required_hardware_managers -d 'Hardware managers without which no step is offered or run: names of plugins, managers or classes (kernel: ipa-required-hardware-managers)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l hardware_manager_step_timeout -d 'Seconds that a step of a plugin may take [default: 86400] (kernel: ipa-hardware-manager-step-timeout)' -r
complete -c farrier -n "__fish_farrier_needs_command" -l log-file -r
complete -c farrier -n "__fish_farrier_needs_command" -l log-dir -r
complete -c farrier -n "__fish_farrier_needs_command" -l logdir -r
complete -c farrier -n "__fish_farrier_needs_command" -l logfile -r
complete -c farrier -n "__fish_farrier_needs_command" -l log-config-append -r
complete -c farrier -n "__fish_farrier_needs_command" -l log-date-format -r
complete -c farrier -n "__fish_farrier_needs_command" -l listen_tls -d 'Serve TLS with `tls_cert_file` and `tls_key_file` instead of an own certificate [default: false]'
complete -c farrier -n "__fish_farrier_needs_command" -l nolisten_tls
complete -c farrier -n "__fish_farrier_needs_command" -l enable_auto_tls -d 'Make a self-signed certificate and serve TLS with it [default: true]'
complete -c farrier -n "__fish_farrier_needs_command" -l noenable_auto_tls
complete -c farrier -n "__fish_farrier_needs_command" -l collect_lldp -d 'Put LLDP into the inventory [default: false] (kernel: ipa-collect-lldp)'
complete -c farrier -n "__fish_farrier_needs_command" -l nocollect_lldp
complete -c farrier -n "__fish_farrier_needs_command" -l inspection_dhcp_all_interfaces -d 'Wait for an address on all interfaces [default: false] (kernel: ipa-inspection-dhcp-all-interfaces)'
complete -c farrier -n "__fish_farrier_needs_command" -l noinspection_dhcp_all_interfaces
complete -c farrier -n "__fish_farrier_needs_command" -l insecure -d 'Do not verify the servers\' certificates [default: false] (kernel: ipa-insecure)'
complete -c farrier -n "__fish_farrier_needs_command" -l noinsecure
complete -c farrier -n "__fish_farrier_needs_command" -l introspection_daemon -d '`farrier inspect` goes on: it collects and hands in anew again and again [default: false]'
complete -c farrier -n "__fish_farrier_needs_command" -l nointrospection_daemon
complete -c farrier -n "__fish_farrier_needs_command" -l fail_if_clock_not_set -d 'A clock that cannot be set is an error [default: false]'
complete -c farrier -n "__fish_farrier_needs_command" -l nofail_if_clock_not_set
complete -c farrier -n "__fish_farrier_needs_command" -l allow_reads_without_token -d 'Let a conductor read results without the token, until one reads with it: Ironic older than 29.0.0 (26.1.2, 24.1.4, 23.0.5 in their series) [default: false] (kernel: ipa-allow-reads-without-token)'
complete -c farrier -n "__fish_farrier_needs_command" -l noallow_reads_without_token
complete -c farrier -n "__fish_farrier_needs_command" -l ignore_bootloader_failure -d 'A boot loader that cannot be installed is no error [default: false] (kernel: ipa-ignore-bootloader-failure)'
complete -c farrier -n "__fish_farrier_needs_command" -l noignore_bootloader_failure
complete -c farrier -n "__fish_farrier_needs_command" -l guard-special-filesystems -d 'Refuse to erase shared cluster file systems [default: true] (kernel: ipa-guard-special-filesystems)'
complete -c farrier -n "__fish_farrier_needs_command" -l noguard-special-filesystems
complete -c farrier -n "__fish_farrier_needs_command" -l enable_discard_erase -d 'Allow a verified discard as an erase [default: false] (kernel: ipa-enable-discard-erase)'
complete -c farrier -n "__fish_farrier_needs_command" -l noenable_discard_erase
complete -c farrier -n "__fish_farrier_needs_command" -l enable_scsi_sanitize -d 'Let SCSI disks erase themselves with SANITIZE [default: false] (kernel: ipa-enable-scsi-sanitize)'
complete -c farrier -n "__fish_farrier_needs_command" -l noenable_scsi_sanitize
complete -c farrier -n "__fish_farrier_needs_command" -l enable_scsi_format_unit -d 'Let SCSI disks erase themselves with FORMAT UNIT [default: false] (kernel: ipa-enable-scsi-format-unit)'
complete -c farrier -n "__fish_farrier_needs_command" -l noenable_scsi_format_unit
complete -c farrier -n "__fish_farrier_needs_command" -l erase_record_required -d 'A device whose record did not arrive is a failure, although it is erased [default: false] (kernel: ipa-erase-record-required)'
complete -c farrier -n "__fish_farrier_needs_command" -l noerase_record_required
complete -c farrier -n "__fish_farrier_needs_command" -l md5_enabled -d 'Allow MD5 image checksums [default: false] (kernel: ipa-md5-enabled)'
complete -c farrier -n "__fish_farrier_needs_command" -l nomd5_enabled
complete -c farrier -n "__fish_farrier_needs_command" -l config_drive_rebuild -d 'Always rebuild the config drive on the disk [default: false]'
complete -c farrier -n "__fish_farrier_needs_command" -l noconfig_drive_rebuild
complete -c farrier -n "__fish_farrier_needs_command" -l disable_deep_image_inspection -d 'Do not look into images for what they are [default: false]'
complete -c farrier -n "__fish_farrier_needs_command" -l nodisable_deep_image_inspection
complete -c farrier -n "__fish_farrier_needs_command" -l verify_written_image -d 'Read a written image from the disk again and compare it before the disk becomes bootable [default: false] (kernel: ipa-verify-written-image)'
complete -c farrier -n "__fish_farrier_needs_command" -l noverify_written_image
complete -c farrier -n "__fish_farrier_needs_command" -l disable_bootc_deploy -d 'Refuse bootc deployments [default: false]'
complete -c farrier -n "__fish_farrier_needs_command" -l nodisable_bootc_deploy
complete -c farrier -n "__fish_farrier_needs_command" -l enable_bios_bootloader_install -d 'Allow GRUB to be installed for BIOS [default: false]'
complete -c farrier -n "__fish_farrier_needs_command" -l noenable_bios_bootloader_install
complete -c farrier -n "__fish_farrier_needs_command" -l debug -d 'Log more [default: false] (kernel: ipa-debug)'
complete -c farrier -n "__fish_farrier_needs_command" -l nodebug
complete -c farrier -n "__fish_farrier_needs_command" -l watch-log-file
complete -c farrier -n "__fish_farrier_needs_command" -l nowatch-log-file
complete -c farrier -n "__fish_farrier_needs_command" -l use-syslog
complete -c farrier -n "__fish_farrier_needs_command" -l nouse-syslog
complete -c farrier -n "__fish_farrier_needs_command" -l use-journal
complete -c farrier -n "__fish_farrier_needs_command" -l nouse-journal
complete -c farrier -n "__fish_farrier_needs_command" -l use-json
complete -c farrier -n "__fish_farrier_needs_command" -l nouse-json
complete -c farrier -n "__fish_farrier_needs_command" -l use-stderr
complete -c farrier -n "__fish_farrier_needs_command" -l nouse-stderr
complete -c farrier -n "__fish_farrier_needs_command" -l log-color
complete -c farrier -n "__fish_farrier_needs_command" -l nolog-color
complete -c farrier -n "__fish_farrier_needs_command" -l use-eventlog
complete -c farrier -n "__fish_farrier_needs_command" -l nouse-eventlog
complete -c farrier -n "__fish_farrier_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c farrier -n "__fish_farrier_needs_command" -s V -l version -d 'Print version'
complete -c farrier -n "__fish_farrier_needs_command" -f -a "run" -d 'Be the agent: what the ramdisk does'
complete -c farrier -n "__fish_farrier_needs_command" -f -a "erase" -d 'Erase disks or files and prove it, or show how that would be done'
complete -c farrier -n "__fish_farrier_needs_command" -f -a "inspect" -d 'Inspect this machine and hand the data in, without being an agent'
complete -c farrier -n "__fish_farrier_needs_command" -f -a "inventory" -d 'Show what this machine is, or a recorded one, or record it'
complete -c farrier -n "__fish_farrier_needs_command" -f -a "plugins" -d 'Show the hardware managers of this machine and their steps'
complete -c farrier -n "__fish_farrier_needs_command" -f -a "status" -d 'Show what the agent of this machine is doing, how far it is, and what is wrong'
complete -c farrier -n "__fish_farrier_needs_command" -f -a "steps" -d 'Show the steps that the agent of this machine offers, with their arguments'
complete -c farrier -n "__fish_farrier_needs_command" -f -a "write" -d 'Write an image to a disk or a file'
complete -c farrier -n "__fish_farrier_needs_command" -f -a "init" -d 'Be PID 1 of the ramdisk'
complete -c farrier -n "__fish_farrier_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l config-file -d 'Read this file in place of the default ones' -r -F
complete -c farrier -n "__fish_farrier_using_subcommand run" -l config-dir -d 'Read this directory\'s *.conf in place of the default ones' -r -F
complete -c farrier -n "__fish_farrier_using_subcommand run" -l api_url -d 'The conductor\'s API root URLs, tried in order; `mdns` asks the network (kernel: ipa-api-url)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l global_request_id -d 'Sent as `X-OpenStack-Request-ID` on every request to the conductor (kernel: ipa-global-request-id)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l listen_host -d 'Address the command API binds to; unset: `::` where the kernel has IPv6, else `0.0.0.0` (kernel: ipa-listen-host)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l listen_port -d 'Port the command API binds to [default: 9999] (kernel: ipa-listen-port)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l tls_cert_file -d 'Server certificate, PEM' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l tls_key_file -d 'Server key, PEM' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l auto_tls_allowed_clock_skew -d 'Seconds taken off the own certificate\'s notBefore [default: 3600]' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l tls_min_version -d 'Lowest TLS version, as server and as client [default: 1.2] (kernel: ipa-tls-min-version)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l tls_cipher_suites -d 'TLS 1.2 cipher suites, OpenSSL\'s names joined with `:` (kernel: ipa-tls-cipher-suites)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l tls_certificate_curve -d 'Curve of the own certificate\'s key [default: p384] (kernel: ipa-tls-certificate-curve)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l advertise_host -d 'Address put into the callback URL; unset: found by route (kernel: ipa-advertise-host)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l advertise_port -d 'Port put into the callback URL [default: 9999] (kernel: ipa-advertise-port)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l advertise_protocol -d 'Scheme put into the callback URL; an own certificate makes it `https` [default: http] (kernel: ipa-advertise-protocol)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l ip_lookup_attempts -d 'Rounds of the search for the advertised address, at least 1 [default: 6] (kernel: ipa-ip-lookup-attempts)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l ip_lookup_sleep -d 'Seconds between the rounds of that search [default: 10] (kernel: ipa-ip-lookup-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l network_interface -d 'Take the advertised address from this interface (kernel: ipa-network-interface)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l lookup_timeout -d 'Seconds for all tries of a lookup [default: 600] (kernel: ipa-lookup-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l lookup_interval -d 'Least seconds between two tries of a lookup [default: 1] (kernel: ipa-lookup-interval)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l lldp_timeout -d 'Seconds to listen for LLDP [default: 30] (kernel: ipa-lldp-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l inspection_callback_url -d 'Where inspection data goes (kernel: ipa-inspection-callback-url)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l inspection_collectors -d 'Collectors in order, comma separated; unset: `default,logs` (kernel: ipa-inspection-collectors)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l inspection_dhcp_wait_timeout -d 'Seconds to wait for an address before inspection; 0 does not wait [default: 60] (kernel: ipa-inspection-dhcp-wait-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l hardware_initialization_delay -d 'Seconds to wait after the managers were initialised [default: 0] (kernel: ipa-hardware-initialization-delay)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l disk_wait_attempts -d 'How often the root disk is looked for; 0 does not wait [default: 10] (kernel: ipa-disk-wait-attempts)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l disk_wait_delay -d 'Seconds between two looks for the root disk [default: 3] (kernel: ipa-disk-wait-delay)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l cafile -d 'CA bundle for outbound HTTPS; unset: the system\'s' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l certfile -d 'Client certificate for outbound HTTPS' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l keyfile -d 'Key of the client certificate' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l introspection_daemon_post_interval -d 'Seconds between two inspections of that, at least 1; by chance from 0.7 to 1.2 times that [default: 300]' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l ntp_server -d 'NTP server for the clock (kernel: ipa-ntp-server)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l agent_token -d 'Token agreed before the boot (kernel: ipa-agent-token)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l image_server_user -d 'User for images, with `http_basic`' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l image_server_password -d 'Password for images, with `http_basic`' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l image_server_auth_strategy -d 'How images are asked for: `noauth` or `http_basic` [default: noauth]' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l image_download_connection_timeout -d 'Seconds for a connection or a read of a download, at least 1 [default: 60] (kernel: ipa-image-download-connection-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l image_download_connection_retries -d 'Tries of a download after the first [default: 9] (kernel: ipa-image-download-connection-retries)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l image_download_connection_retry_interval -d 'Seconds between two tries of a download [default: 10] (kernel: ipa-image-download-connection-retry-interval)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l image_download_max_duration -d 'Seconds for a download in all; 0 sets no limit [default: 0] (kernel: ipa-image-download-max-duration)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l ironic_api_version -d 'The conductor\'s API version, `1.N`; unset: it is asked for (kernel: ipa-ironic-api-version)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l enable_vlan_interfaces -d 'VLAN interfaces to make (kernel: ipa-enable-vlan-interfaces)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l inject_files_priority -d 'Priority of the step inject_files, 0 to 99 [default: 0] (kernel: ipa-inject-files-priority)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l erase_record_url -d 'Where erase records are sent: an `http://` or `https://` URL (kernel: ipa-erase-record-url)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l erase_record_method -d 'How erase records are sent: `POST` to the URL, or `PUT` below it [default: POST] (kernel: ipa-erase-record-method)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l http_request_timeout -d 'Seconds for a request to the conductor, at least 1 [default: 30] (kernel: ipa-http-request-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l permitted_image_formats -d 'Image formats that may be written [default: raw,gpt,qcow2]' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l hardware_manager_directories -d 'Where plugins lie, the first directory first [default: /opt/farrier/plugins] (kernel: ipa-hardware-manager-directories)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l enabled_hardware_managers -d 'The plugins to start, by name; empty starts all. Their order is that of equal support levels (kernel: ipa-enabled-hardware-managers)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l disabled_hardware_managers -d 'Plugins not to start, by name (kernel: ipa-disabled-hardware-managers)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l required_hardware_managers -d 'Hardware managers without which no step is offered or run: names of plugins, managers or classes (kernel: ipa-required-hardware-managers)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l hardware_manager_step_timeout -d 'Seconds that a step of a plugin may take [default: 86400] (kernel: ipa-hardware-manager-step-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l log-file -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l log-dir -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l logdir -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l logfile -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l log-config-append -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l log-date-format -r
complete -c farrier -n "__fish_farrier_using_subcommand run" -l listen_tls -d 'Serve TLS with `tls_cert_file` and `tls_key_file` instead of an own certificate [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nolisten_tls
complete -c farrier -n "__fish_farrier_using_subcommand run" -l enable_auto_tls -d 'Make a self-signed certificate and serve TLS with it [default: true]'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noenable_auto_tls
complete -c farrier -n "__fish_farrier_using_subcommand run" -l collect_lldp -d 'Put LLDP into the inventory [default: false] (kernel: ipa-collect-lldp)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nocollect_lldp
complete -c farrier -n "__fish_farrier_using_subcommand run" -l inspection_dhcp_all_interfaces -d 'Wait for an address on all interfaces [default: false] (kernel: ipa-inspection-dhcp-all-interfaces)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noinspection_dhcp_all_interfaces
complete -c farrier -n "__fish_farrier_using_subcommand run" -l insecure -d 'Do not verify the servers\' certificates [default: false] (kernel: ipa-insecure)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noinsecure
complete -c farrier -n "__fish_farrier_using_subcommand run" -l introspection_daemon -d '`farrier inspect` goes on: it collects and hands in anew again and again [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nointrospection_daemon
complete -c farrier -n "__fish_farrier_using_subcommand run" -l fail_if_clock_not_set -d 'A clock that cannot be set is an error [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nofail_if_clock_not_set
complete -c farrier -n "__fish_farrier_using_subcommand run" -l allow_reads_without_token -d 'Let a conductor read results without the token, until one reads with it: Ironic older than 29.0.0 (26.1.2, 24.1.4, 23.0.5 in their series) [default: false] (kernel: ipa-allow-reads-without-token)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noallow_reads_without_token
complete -c farrier -n "__fish_farrier_using_subcommand run" -l ignore_bootloader_failure -d 'A boot loader that cannot be installed is no error [default: false] (kernel: ipa-ignore-bootloader-failure)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noignore_bootloader_failure
complete -c farrier -n "__fish_farrier_using_subcommand run" -l guard-special-filesystems -d 'Refuse to erase shared cluster file systems [default: true] (kernel: ipa-guard-special-filesystems)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noguard-special-filesystems
complete -c farrier -n "__fish_farrier_using_subcommand run" -l enable_discard_erase -d 'Allow a verified discard as an erase [default: false] (kernel: ipa-enable-discard-erase)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noenable_discard_erase
complete -c farrier -n "__fish_farrier_using_subcommand run" -l enable_scsi_sanitize -d 'Let SCSI disks erase themselves with SANITIZE [default: false] (kernel: ipa-enable-scsi-sanitize)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noenable_scsi_sanitize
complete -c farrier -n "__fish_farrier_using_subcommand run" -l enable_scsi_format_unit -d 'Let SCSI disks erase themselves with FORMAT UNIT [default: false] (kernel: ipa-enable-scsi-format-unit)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noenable_scsi_format_unit
complete -c farrier -n "__fish_farrier_using_subcommand run" -l erase_record_required -d 'A device whose record did not arrive is a failure, although it is erased [default: false] (kernel: ipa-erase-record-required)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noerase_record_required
complete -c farrier -n "__fish_farrier_using_subcommand run" -l md5_enabled -d 'Allow MD5 image checksums [default: false] (kernel: ipa-md5-enabled)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nomd5_enabled
complete -c farrier -n "__fish_farrier_using_subcommand run" -l config_drive_rebuild -d 'Always rebuild the config drive on the disk [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noconfig_drive_rebuild
complete -c farrier -n "__fish_farrier_using_subcommand run" -l disable_deep_image_inspection -d 'Do not look into images for what they are [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nodisable_deep_image_inspection
complete -c farrier -n "__fish_farrier_using_subcommand run" -l verify_written_image -d 'Read a written image from the disk again and compare it before the disk becomes bootable [default: false] (kernel: ipa-verify-written-image)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noverify_written_image
complete -c farrier -n "__fish_farrier_using_subcommand run" -l disable_bootc_deploy -d 'Refuse bootc deployments [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nodisable_bootc_deploy
complete -c farrier -n "__fish_farrier_using_subcommand run" -l enable_bios_bootloader_install -d 'Allow GRUB to be installed for BIOS [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l noenable_bios_bootloader_install
complete -c farrier -n "__fish_farrier_using_subcommand run" -l debug -d 'Log more [default: false] (kernel: ipa-debug)'
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nodebug
complete -c farrier -n "__fish_farrier_using_subcommand run" -l watch-log-file
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nowatch-log-file
complete -c farrier -n "__fish_farrier_using_subcommand run" -l use-syslog
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nouse-syslog
complete -c farrier -n "__fish_farrier_using_subcommand run" -l use-journal
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nouse-journal
complete -c farrier -n "__fish_farrier_using_subcommand run" -l use-json
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nouse-json
complete -c farrier -n "__fish_farrier_using_subcommand run" -l use-stderr
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nouse-stderr
complete -c farrier -n "__fish_farrier_using_subcommand run" -l log-color
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nolog-color
complete -c farrier -n "__fish_farrier_using_subcommand run" -l use-eventlog
complete -c farrier -n "__fish_farrier_using_subcommand run" -l nouse-eventlog
complete -c farrier -n "__fish_farrier_using_subcommand run" -s h -l help -d 'Print help'
complete -c farrier -n "__fish_farrier_using_subcommand erase" -l passes -d 'Passes of random data, where a disk is overwritten' -r
complete -c farrier -n "__fish_farrier_using_subcommand erase" -l replay -d 'Plan for the machine that `farrier inventory --record` saved there' -r -F
complete -c farrier -n "__fish_farrier_using_subcommand erase" -l plan -d 'Show how the disks of this machine, or of a recorded one, would be erased, and why; touch nothing'
complete -c farrier -n "__fish_farrier_using_subcommand erase" -l destroy-data -d 'Whoever types this knows that everything on the devices is lost afterwards'
complete -c farrier -n "__fish_farrier_using_subcommand erase" -l metadata -d 'Erase only what makes a disk look used'
complete -c farrier -n "__fish_farrier_using_subcommand erase" -l no-zeros -d 'No last pass of zeros'
complete -c farrier -n "__fish_farrier_using_subcommand erase" -l wipe-special-filesystems -d 'Erase also file systems that a cluster shares'
complete -c farrier -n "__fish_farrier_using_subcommand erase" -l force -d 'Erase also disks of an installed system (`/` is not in memory)'
complete -c farrier -n "__fish_farrier_using_subcommand erase" -l json -d 'Answer with JSON'
complete -c farrier -n "__fish_farrier_using_subcommand erase" -s h -l help -d 'Print help'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l config-file -d 'Read this file in place of the default ones' -r -F
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l config-dir -d 'Read this directory\'s *.conf in place of the default ones' -r -F
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l api_url -d 'The conductor\'s API root URLs, tried in order; `mdns` asks the network (kernel: ipa-api-url)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l global_request_id -d 'Sent as `X-OpenStack-Request-ID` on every request to the conductor (kernel: ipa-global-request-id)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l listen_host -d 'Address the command API binds to; unset: `::` where the kernel has IPv6, else `0.0.0.0` (kernel: ipa-listen-host)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l listen_port -d 'Port the command API binds to [default: 9999] (kernel: ipa-listen-port)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l tls_cert_file -d 'Server certificate, PEM' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l tls_key_file -d 'Server key, PEM' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l auto_tls_allowed_clock_skew -d 'Seconds taken off the own certificate\'s notBefore [default: 3600]' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l tls_min_version -d 'Lowest TLS version, as server and as client [default: 1.2] (kernel: ipa-tls-min-version)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l tls_cipher_suites -d 'TLS 1.2 cipher suites, OpenSSL\'s names joined with `:` (kernel: ipa-tls-cipher-suites)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l tls_certificate_curve -d 'Curve of the own certificate\'s key [default: p384] (kernel: ipa-tls-certificate-curve)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l advertise_host -d 'Address put into the callback URL; unset: found by route (kernel: ipa-advertise-host)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l advertise_port -d 'Port put into the callback URL [default: 9999] (kernel: ipa-advertise-port)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l advertise_protocol -d 'Scheme put into the callback URL; an own certificate makes it `https` [default: http] (kernel: ipa-advertise-protocol)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l ip_lookup_attempts -d 'Rounds of the search for the advertised address, at least 1 [default: 6] (kernel: ipa-ip-lookup-attempts)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l ip_lookup_sleep -d 'Seconds between the rounds of that search [default: 10] (kernel: ipa-ip-lookup-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l network_interface -d 'Take the advertised address from this interface (kernel: ipa-network-interface)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l lookup_timeout -d 'Seconds for all tries of a lookup [default: 600] (kernel: ipa-lookup-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l lookup_interval -d 'Least seconds between two tries of a lookup [default: 1] (kernel: ipa-lookup-interval)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l lldp_timeout -d 'Seconds to listen for LLDP [default: 30] (kernel: ipa-lldp-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l inspection_callback_url -d 'Where inspection data goes (kernel: ipa-inspection-callback-url)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l inspection_collectors -d 'Collectors in order, comma separated; unset: `default,logs` (kernel: ipa-inspection-collectors)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l inspection_dhcp_wait_timeout -d 'Seconds to wait for an address before inspection; 0 does not wait [default: 60] (kernel: ipa-inspection-dhcp-wait-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l hardware_initialization_delay -d 'Seconds to wait after the managers were initialised [default: 0] (kernel: ipa-hardware-initialization-delay)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l disk_wait_attempts -d 'How often the root disk is looked for; 0 does not wait [default: 10] (kernel: ipa-disk-wait-attempts)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l disk_wait_delay -d 'Seconds between two looks for the root disk [default: 3] (kernel: ipa-disk-wait-delay)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l cafile -d 'CA bundle for outbound HTTPS; unset: the system\'s' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l certfile -d 'Client certificate for outbound HTTPS' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l keyfile -d 'Key of the client certificate' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l introspection_daemon_post_interval -d 'Seconds between two inspections of that, at least 1; by chance from 0.7 to 1.2 times that [default: 300]' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l ntp_server -d 'NTP server for the clock (kernel: ipa-ntp-server)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l agent_token -d 'Token agreed before the boot (kernel: ipa-agent-token)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l image_server_user -d 'User for images, with `http_basic`' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l image_server_password -d 'Password for images, with `http_basic`' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l image_server_auth_strategy -d 'How images are asked for: `noauth` or `http_basic` [default: noauth]' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l image_download_connection_timeout -d 'Seconds for a connection or a read of a download, at least 1 [default: 60] (kernel: ipa-image-download-connection-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l image_download_connection_retries -d 'Tries of a download after the first [default: 9] (kernel: ipa-image-download-connection-retries)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l image_download_connection_retry_interval -d 'Seconds between two tries of a download [default: 10] (kernel: ipa-image-download-connection-retry-interval)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l image_download_max_duration -d 'Seconds for a download in all; 0 sets no limit [default: 0] (kernel: ipa-image-download-max-duration)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l ironic_api_version -d 'The conductor\'s API version, `1.N`; unset: it is asked for (kernel: ipa-ironic-api-version)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l enable_vlan_interfaces -d 'VLAN interfaces to make (kernel: ipa-enable-vlan-interfaces)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l inject_files_priority -d 'Priority of the step inject_files, 0 to 99 [default: 0] (kernel: ipa-inject-files-priority)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l erase_record_url -d 'Where erase records are sent: an `http://` or `https://` URL (kernel: ipa-erase-record-url)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l erase_record_method -d 'How erase records are sent: `POST` to the URL, or `PUT` below it [default: POST] (kernel: ipa-erase-record-method)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l http_request_timeout -d 'Seconds for a request to the conductor, at least 1 [default: 30] (kernel: ipa-http-request-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l permitted_image_formats -d 'Image formats that may be written [default: raw,gpt,qcow2]' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l hardware_manager_directories -d 'Where plugins lie, the first directory first [default: /opt/farrier/plugins] (kernel: ipa-hardware-manager-directories)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l enabled_hardware_managers -d 'The plugins to start, by name; empty starts all. Their order is that of equal support levels (kernel: ipa-enabled-hardware-managers)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l disabled_hardware_managers -d 'Plugins not to start, by name (kernel: ipa-disabled-hardware-managers)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l required_hardware_managers -d 'Hardware managers without which no step is offered or run: names of plugins, managers or classes (kernel: ipa-required-hardware-managers)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l hardware_manager_step_timeout -d 'Seconds that a step of a plugin may take [default: 86400] (kernel: ipa-hardware-manager-step-timeout)' -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l log-file -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l log-dir -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l logdir -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l logfile -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l log-config-append -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l log-date-format -r
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l print -d 'Answer with the data as JSON instead of handing it in'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l listen_tls -d 'Serve TLS with `tls_cert_file` and `tls_key_file` instead of an own certificate [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nolisten_tls
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l enable_auto_tls -d 'Make a self-signed certificate and serve TLS with it [default: true]'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noenable_auto_tls
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l collect_lldp -d 'Put LLDP into the inventory [default: false] (kernel: ipa-collect-lldp)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nocollect_lldp
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l inspection_dhcp_all_interfaces -d 'Wait for an address on all interfaces [default: false] (kernel: ipa-inspection-dhcp-all-interfaces)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noinspection_dhcp_all_interfaces
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l insecure -d 'Do not verify the servers\' certificates [default: false] (kernel: ipa-insecure)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noinsecure
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l introspection_daemon -d '`farrier inspect` goes on: it collects and hands in anew again and again [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nointrospection_daemon
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l fail_if_clock_not_set -d 'A clock that cannot be set is an error [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nofail_if_clock_not_set
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l allow_reads_without_token -d 'Let a conductor read results without the token, until one reads with it: Ironic older than 29.0.0 (26.1.2, 24.1.4, 23.0.5 in their series) [default: false] (kernel: ipa-allow-reads-without-token)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noallow_reads_without_token
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l ignore_bootloader_failure -d 'A boot loader that cannot be installed is no error [default: false] (kernel: ipa-ignore-bootloader-failure)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noignore_bootloader_failure
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l guard-special-filesystems -d 'Refuse to erase shared cluster file systems [default: true] (kernel: ipa-guard-special-filesystems)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noguard-special-filesystems
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l enable_discard_erase -d 'Allow a verified discard as an erase [default: false] (kernel: ipa-enable-discard-erase)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noenable_discard_erase
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l enable_scsi_sanitize -d 'Let SCSI disks erase themselves with SANITIZE [default: false] (kernel: ipa-enable-scsi-sanitize)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noenable_scsi_sanitize
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l enable_scsi_format_unit -d 'Let SCSI disks erase themselves with FORMAT UNIT [default: false] (kernel: ipa-enable-scsi-format-unit)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noenable_scsi_format_unit
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l erase_record_required -d 'A device whose record did not arrive is a failure, although it is erased [default: false] (kernel: ipa-erase-record-required)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noerase_record_required
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l md5_enabled -d 'Allow MD5 image checksums [default: false] (kernel: ipa-md5-enabled)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nomd5_enabled
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l config_drive_rebuild -d 'Always rebuild the config drive on the disk [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noconfig_drive_rebuild
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l disable_deep_image_inspection -d 'Do not look into images for what they are [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nodisable_deep_image_inspection
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l verify_written_image -d 'Read a written image from the disk again and compare it before the disk becomes bootable [default: false] (kernel: ipa-verify-written-image)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noverify_written_image
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l disable_bootc_deploy -d 'Refuse bootc deployments [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nodisable_bootc_deploy
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l enable_bios_bootloader_install -d 'Allow GRUB to be installed for BIOS [default: false]'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l noenable_bios_bootloader_install
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l debug -d 'Log more [default: false] (kernel: ipa-debug)'
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nodebug
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l watch-log-file
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nowatch-log-file
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l use-syslog
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nouse-syslog
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l use-journal
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nouse-journal
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l use-json
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nouse-json
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l use-stderr
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nouse-stderr
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l log-color
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nolog-color
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l use-eventlog
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -l nouse-eventlog
complete -c farrier -n "__fish_farrier_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c farrier -n "__fish_farrier_using_subcommand inventory" -l record -d 'Save what the inventory is read from, to be replayed elsewhere' -r -F
complete -c farrier -n "__fish_farrier_using_subcommand inventory" -l replay -d 'Show the machine that was recorded there instead of this one' -r -F
complete -c farrier -n "__fish_farrier_using_subcommand inventory" -l json -d 'Answer with JSON, as the conductor gets it'
complete -c farrier -n "__fish_farrier_using_subcommand inventory" -l lldp -d 'Wait for switches to say which port the machine is plugged into'
complete -c farrier -n "__fish_farrier_using_subcommand inventory" -l without-plugins -d 'Show only what the agent itself knows: for a plugin that asks in the middle of a call'
complete -c farrier -n "__fish_farrier_using_subcommand inventory" -l mask -d 'Record without what names this one machine: serial numbers, UUIDs, addresses'
complete -c farrier -n "__fish_farrier_using_subcommand inventory" -s h -l help -d 'Print help'
complete -c farrier -n "__fish_farrier_using_subcommand plugins; and not __fish_seen_subcommand_from test help" -l json -d 'Answer with JSON'
complete -c farrier -n "__fish_farrier_using_subcommand plugins; and not __fish_seen_subcommand_from test help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c farrier -n "__fish_farrier_using_subcommand plugins; and not __fish_seen_subcommand_from test help" -f -a "test" -d 'Check a plugin against the protocol'
complete -c farrier -n "__fish_farrier_using_subcommand plugins; and not __fish_seen_subcommand_from test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c farrier -n "__fish_farrier_using_subcommand plugins; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c farrier -n "__fish_farrier_using_subcommand plugins; and __fish_seen_subcommand_from help" -f -a "test" -d 'Check a plugin against the protocol'
complete -c farrier -n "__fish_farrier_using_subcommand plugins; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c farrier -n "__fish_farrier_using_subcommand status" -l json -d 'Answer with JSON'
complete -c farrier -n "__fish_farrier_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c farrier -n "__fish_farrier_using_subcommand steps" -l json -d 'Answer with JSON'
complete -c farrier -n "__fish_farrier_using_subcommand steps" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c farrier -n "__fish_farrier_using_subcommand write" -l url -d 'The image: a URL, or the path of a file' -r
complete -c farrier -n "__fish_farrier_using_subcommand write" -l device -d 'The disk, a file that stands for one, or a new file' -r
complete -c farrier -n "__fish_farrier_using_subcommand write" -l checksum -d 'What the image has to have: ALGORITHM:DIGEST, or the URL of a file of checksums' -r
complete -c farrier -n "__fish_farrier_using_subcommand write" -l format -d 'The image\'s format, where it is not to be found out' -r
complete -c farrier -n "__fish_farrier_using_subcommand write" -l no-checksum -d 'Write what nothing vouches for'
complete -c farrier -n "__fish_farrier_using_subcommand write" -l verify-device -d 'Read all of it back from the disk and compare'
complete -c farrier -n "__fish_farrier_using_subcommand write" -l json -d 'Answer with JSON'
complete -c farrier -n "__fish_farrier_using_subcommand write" -l force -d 'Write also to a disk of an installed system (`/` is not in memory)'
complete -c farrier -n "__fish_farrier_using_subcommand write" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c farrier -n "__fish_farrier_using_subcommand init" -s h -l help -d 'Print help'
complete -c farrier -n "__fish_farrier_using_subcommand help; and not __fish_seen_subcommand_from run erase inspect inventory plugins status steps write init help" -f -a "run" -d 'Be the agent: what the ramdisk does'
complete -c farrier -n "__fish_farrier_using_subcommand help; and not __fish_seen_subcommand_from run erase inspect inventory plugins status steps write init help" -f -a "erase" -d 'Erase disks or files and prove it, or show how that would be done'
complete -c farrier -n "__fish_farrier_using_subcommand help; and not __fish_seen_subcommand_from run erase inspect inventory plugins status steps write init help" -f -a "inspect" -d 'Inspect this machine and hand the data in, without being an agent'
complete -c farrier -n "__fish_farrier_using_subcommand help; and not __fish_seen_subcommand_from run erase inspect inventory plugins status steps write init help" -f -a "inventory" -d 'Show what this machine is, or a recorded one, or record it'
complete -c farrier -n "__fish_farrier_using_subcommand help; and not __fish_seen_subcommand_from run erase inspect inventory plugins status steps write init help" -f -a "plugins" -d 'Show the hardware managers of this machine and their steps'
complete -c farrier -n "__fish_farrier_using_subcommand help; and not __fish_seen_subcommand_from run erase inspect inventory plugins status steps write init help" -f -a "status" -d 'Show what the agent of this machine is doing, how far it is, and what is wrong'
complete -c farrier -n "__fish_farrier_using_subcommand help; and not __fish_seen_subcommand_from run erase inspect inventory plugins status steps write init help" -f -a "steps" -d 'Show the steps that the agent of this machine offers, with their arguments'
complete -c farrier -n "__fish_farrier_using_subcommand help; and not __fish_seen_subcommand_from run erase inspect inventory plugins status steps write init help" -f -a "write" -d 'Write an image to a disk or a file'
complete -c farrier -n "__fish_farrier_using_subcommand help; and not __fish_seen_subcommand_from run erase inspect inventory plugins status steps write init help" -f -a "init" -d 'Be PID 1 of the ramdisk'
complete -c farrier -n "__fish_farrier_using_subcommand help; and not __fish_seen_subcommand_from run erase inspect inventory plugins status steps write init help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c farrier -n "__fish_farrier_using_subcommand help; and __fish_seen_subcommand_from plugins" -f -a "test" -d 'Check a plugin against the protocol'
