"""What `cdi check` looks at: everything a deployment needs before its first job."""
