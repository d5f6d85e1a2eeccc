package verify

// SetSegment has objects read in segments of n bytes.
func (cfg *Config) SetSegment(n int64) { cfg.segment = n }
