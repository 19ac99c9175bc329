SELECT to_regclass('recon.breaks') IS NOT NULL AS found
