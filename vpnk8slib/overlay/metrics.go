package overlay

// MetricsPort is the TCP port on which an agent tells its metrics: on the loopback, and a gateway's to its cluster too.
const MetricsPort = 4794
