SELECT set_config('ecommpay_sync.role_prefix', :prefix, true)
