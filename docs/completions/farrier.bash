_farrier() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="farrier"
                ;;
            farrier,erase)
                cmd="farrier__subcmd__erase"
                ;;
            farrier,help)
                cmd="farrier__subcmd__help"
                ;;
            farrier,init)
                cmd="farrier__subcmd__init"
                ;;
            farrier,inspect)
                cmd="farrier__subcmd__inspect"
                ;;
            farrier,inventory)
                cmd="farrier__subcmd__inventory"
                ;;
            farrier,plugins)
                cmd="farrier__subcmd__plugins"
                ;;
            farrier,run)
                cmd="farrier__subcmd__run"
                ;;
            farrier,status)
                cmd="farrier__subcmd__status"
                ;;
            farrier,steps)
                cmd="farrier__subcmd__steps"
                ;;
            farrier,write)
                cmd="farrier__subcmd__write"
                ;;
            farrier__subcmd__help,erase)
                cmd="farrier__subcmd__help__subcmd__erase"
                ;;
            farrier__subcmd__help,help)
                cmd="farrier__subcmd__help__subcmd__help"
                ;;
            farrier__subcmd__help,init)
                cmd="farrier__subcmd__help__subcmd__init"
                ;;
            farrier__subcmd__help,inspect)
                cmd="farrier__subcmd__help__subcmd__inspect"
                ;;
            farrier__subcmd__help,inventory)
                cmd="farrier__subcmd__help__subcmd__inventory"
                ;;
            farrier__subcmd__help,plugins)
                cmd="farrier__subcmd__help__subcmd__plugins"
                ;;
            farrier__subcmd__help,run)
                cmd="farrier__subcmd__help__subcmd__run"
                ;;
            farrier__subcmd__help,status)
                cmd="farrier__subcmd__help__subcmd__status"
                ;;
            farrier__subcmd__help,steps)
                cmd="farrier__subcmd__help__subcmd__steps"
                ;;
            farrier__subcmd__help,write)
                cmd="farrier__subcmd__help__subcmd__write"
                ;;
            farrier__subcmd__help__subcmd__plugins,test)
                cmd="farrier__subcmd__help__subcmd__plugins__subcmd__test"
                ;;
            farrier__subcmd__plugins,help)
                cmd="farrier__subcmd__plugins__subcmd__help"
                ;;
            farrier__subcmd__plugins,test)
                cmd="farrier__subcmd__plugins__subcmd__test"
                ;;
            farrier__subcmd__plugins__subcmd__help,help)
                cmd="farrier__subcmd__plugins__subcmd__help__subcmd__help"
                ;;
            farrier__subcmd__plugins__subcmd__help,test)
                cmd="farrier__subcmd__plugins__subcmd__help__subcmd__test"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        farrier)
            opts="-h -V --config-file --config-dir --api_url --global_request_id --listen_host --listen_port --listen_tls --nolisten_tls --tls_cert_file --tls_key_file --enable_auto_tls --noenable_auto_tls --auto_tls_allowed_clock_skew --tls_min_version --tls_cipher_suites --tls_certificate_curve --advertise_host --advertise_port --advertise_protocol --ip_lookup_attempts --ip_lookup_sleep --network_interface --lookup_timeout --lookup_interval --lldp_timeout --collect_lldp --nocollect_lldp --inspection_callback_url --inspection_collectors --inspection_dhcp_wait_timeout --inspection_dhcp_all_interfaces --noinspection_dhcp_all_interfaces --hardware_initialization_delay --disk_wait_attempts --disk_wait_delay --insecure --noinsecure --cafile --certfile --keyfile --introspection_daemon --nointrospection_daemon --introspection_daemon_post_interval --ntp_server --fail_if_clock_not_set --nofail_if_clock_not_set --agent_token --allow_reads_without_token --noallow_reads_without_token --image_server_user --image_server_password --image_server_auth_strategy --image_download_connection_timeout --image_download_connection_retries --image_download_connection_retry_interval --image_download_max_duration --ironic_api_version --enable_vlan_interfaces --ignore_bootloader_failure --noignore_bootloader_failure --inject_files_priority --guard-special-filesystems --noguard-special-filesystems --enable_discard_erase --noenable_discard_erase --enable_scsi_sanitize --noenable_scsi_sanitize --enable_scsi_format_unit --noenable_scsi_format_unit --erase_record_url --erase_record_method --erase_record_required --noerase_record_required --md5_enabled --nomd5_enabled --http_request_timeout --config_drive_rebuild --noconfig_drive_rebuild --disable_deep_image_inspection --nodisable_deep_image_inspection --verify_written_image --noverify_written_image --permitted_image_formats --disable_bootc_deploy --nodisable_bootc_deploy --enable_bios_bootloader_install --noenable_bios_bootloader_install --hardware_manager_directories --enabled_hardware_managers --disabled_hardware_managers --required_hardware_managers --hardware_manager_step_timeout --debug --nodebug --watch-log-file --nowatch-log-file --use-syslog --nouse-syslog --use-journal --nouse-journal --use-json --nouse-json --use-stderr --nouse-stderr --log-color --nolog-color --use-eventlog --nouse-eventlog --log-file --log-dir --logdir --logfile --log-config-append --log-date-format --help --version run erase inspect inventory plugins status steps write init help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --global_request_id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cert_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_key_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --auto_tls_allowed_clock_skew)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_min_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cipher_suites)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_certificate_curve)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_protocol)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_sleep)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --network_interface)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lldp_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_callback_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_collectors)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_dhcp_wait_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_initialization_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cafile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --keyfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --introspection_daemon_post_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ntp_server)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --agent_token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_password)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_auth_strategy)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retry_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_max_duration)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ironic_api_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable_vlan_interfaces)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inject_files_priority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --erase_record_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --erase_record_method)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http_request_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --permitted_image_formats)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_manager_directories)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enabled_hardware_managers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disabled_hardware_managers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --required_hardware_managers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_manager_step_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --logdir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --logfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-config-append)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-date-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__erase)
            opts="-h --plan --destroy-data --metadata --passes --no-zeros --wipe-special-filesystems --force --json --replay --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --passes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --replay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help)
            opts="run erase inspect inventory plugins status steps write init help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__erase)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__init)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__inspect)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__inventory)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__plugins)
            opts="test"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__plugins__subcmd__test)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__run)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__status)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__steps)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__help__subcmd__write)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__init)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__inspect)
            opts="-h --print --config-file --config-dir --api_url --global_request_id --listen_host --listen_port --listen_tls --nolisten_tls --tls_cert_file --tls_key_file --enable_auto_tls --noenable_auto_tls --auto_tls_allowed_clock_skew --tls_min_version --tls_cipher_suites --tls_certificate_curve --advertise_host --advertise_port --advertise_protocol --ip_lookup_attempts --ip_lookup_sleep --network_interface --lookup_timeout --lookup_interval --lldp_timeout --collect_lldp --nocollect_lldp --inspection_callback_url --inspection_collectors --inspection_dhcp_wait_timeout --inspection_dhcp_all_interfaces --noinspection_dhcp_all_interfaces --hardware_initialization_delay --disk_wait_attempts --disk_wait_delay --insecure --noinsecure --cafile --certfile --keyfile --introspection_daemon --nointrospection_daemon --introspection_daemon_post_interval --ntp_server --fail_if_clock_not_set --nofail_if_clock_not_set --agent_token --allow_reads_without_token --noallow_reads_without_token --image_server_user --image_server_password --image_server_auth_strategy --image_download_connection_timeout --image_download_connection_retries --image_download_connection_retry_interval --image_download_max_duration --ironic_api_version --enable_vlan_interfaces --ignore_bootloader_failure --noignore_bootloader_failure --inject_files_priority --guard-special-filesystems --noguard-special-filesystems --enable_discard_erase --noenable_discard_erase --enable_scsi_sanitize --noenable_scsi_sanitize --enable_scsi_format_unit --noenable_scsi_format_unit --erase_record_url --erase_record_method --erase_record_required --noerase_record_required --md5_enabled --nomd5_enabled --http_request_timeout --config_drive_rebuild --noconfig_drive_rebuild --disable_deep_image_inspection --nodisable_deep_image_inspection --verify_written_image --noverify_written_image --permitted_image_formats --disable_bootc_deploy --nodisable_bootc_deploy --enable_bios_bootloader_install --noenable_bios_bootloader_install --hardware_manager_directories --enabled_hardware_managers --disabled_hardware_managers --required_hardware_managers --hardware_manager_step_timeout --debug --nodebug --watch-log-file --nowatch-log-file --use-syslog --nouse-syslog --use-journal --nouse-journal --use-json --nouse-json --use-stderr --nouse-stderr --log-color --nolog-color --use-eventlog --nouse-eventlog --log-file --log-dir --logdir --logfile --log-config-append --log-date-format --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --global_request_id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cert_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_key_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --auto_tls_allowed_clock_skew)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_min_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cipher_suites)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_certificate_curve)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_protocol)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_sleep)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --network_interface)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lldp_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_callback_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_collectors)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_dhcp_wait_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_initialization_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cafile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --keyfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --introspection_daemon_post_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ntp_server)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --agent_token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_password)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_auth_strategy)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retry_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_max_duration)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ironic_api_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable_vlan_interfaces)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inject_files_priority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --erase_record_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --erase_record_method)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http_request_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --permitted_image_formats)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_manager_directories)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enabled_hardware_managers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disabled_hardware_managers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --required_hardware_managers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_manager_step_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --logdir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --logfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-config-append)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-date-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__inventory)
            opts="-h --json --lldp --without-plugins --record --mask --replay --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --record)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --replay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__plugins)
            opts="-h --json --help test help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__plugins__subcmd__help)
            opts="test help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__plugins__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__plugins__subcmd__help__subcmd__test)
            opts=""
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 4 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__plugins__subcmd__test)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__run)
            opts="-h --config-file --config-dir --api_url --global_request_id --listen_host --listen_port --listen_tls --nolisten_tls --tls_cert_file --tls_key_file --enable_auto_tls --noenable_auto_tls --auto_tls_allowed_clock_skew --tls_min_version --tls_cipher_suites --tls_certificate_curve --advertise_host --advertise_port --advertise_protocol --ip_lookup_attempts --ip_lookup_sleep --network_interface --lookup_timeout --lookup_interval --lldp_timeout --collect_lldp --nocollect_lldp --inspection_callback_url --inspection_collectors --inspection_dhcp_wait_timeout --inspection_dhcp_all_interfaces --noinspection_dhcp_all_interfaces --hardware_initialization_delay --disk_wait_attempts --disk_wait_delay --insecure --noinsecure --cafile --certfile --keyfile --introspection_daemon --nointrospection_daemon --introspection_daemon_post_interval --ntp_server --fail_if_clock_not_set --nofail_if_clock_not_set --agent_token --allow_reads_without_token --noallow_reads_without_token --image_server_user --image_server_password --image_server_auth_strategy --image_download_connection_timeout --image_download_connection_retries --image_download_connection_retry_interval --image_download_max_duration --ironic_api_version --enable_vlan_interfaces --ignore_bootloader_failure --noignore_bootloader_failure --inject_files_priority --guard-special-filesystems --noguard-special-filesystems --enable_discard_erase --noenable_discard_erase --enable_scsi_sanitize --noenable_scsi_sanitize --enable_scsi_format_unit --noenable_scsi_format_unit --erase_record_url --erase_record_method --erase_record_required --noerase_record_required --md5_enabled --nomd5_enabled --http_request_timeout --config_drive_rebuild --noconfig_drive_rebuild --disable_deep_image_inspection --nodisable_deep_image_inspection --verify_written_image --noverify_written_image --permitted_image_formats --disable_bootc_deploy --nodisable_bootc_deploy --enable_bios_bootloader_install --noenable_bios_bootloader_install --hardware_manager_directories --enabled_hardware_managers --disabled_hardware_managers --required_hardware_managers --hardware_manager_step_timeout --debug --nodebug --watch-log-file --nowatch-log-file --use-syslog --nouse-syslog --use-journal --nouse-journal --use-json --nouse-json --use-stderr --nouse-stderr --log-color --nolog-color --use-eventlog --nouse-eventlog --log-file --log-dir --logdir --logfile --log-config-append --log-date-format --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --global_request_id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cert_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_key_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --auto_tls_allowed_clock_skew)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_min_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cipher_suites)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_certificate_curve)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_protocol)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_sleep)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --network_interface)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lldp_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_callback_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_collectors)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_dhcp_wait_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_initialization_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cafile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --keyfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --introspection_daemon_post_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ntp_server)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --agent_token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_password)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_auth_strategy)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retry_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_max_duration)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ironic_api_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable_vlan_interfaces)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inject_files_priority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --erase_record_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --erase_record_method)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http_request_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --permitted_image_formats)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_manager_directories)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enabled_hardware_managers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disabled_hardware_managers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --required_hardware_managers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_manager_step_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --logdir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --logfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-config-append)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-date-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__status)
            opts="-h --json --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__steps)
            opts="-h --json --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        farrier__subcmd__write)
            opts="-h --url --device --checksum --no-checksum --format --verify-device --json --force --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --device)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --checksum)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _farrier -o nosort -o bashdefault -o default farrier
else
    complete -F _farrier -o bashdefault -o default farrier
fi
