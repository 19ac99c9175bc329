SELECT set_config('recon.actor', :by, true)
