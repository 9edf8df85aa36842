// Package taken is what measure tells of a dispatch, for measure that writes it and for the bench that reads it.
package taken

// Taken is what one dispatch took. Times are in seconds, Began and Ended in nanoseconds since 1970.
type Taken struct {
	Began int64    `json:"began"`
	Ended int64    `json:"ended"`
	Exit  int      `json:"exit"`
	Wall  float64  `json:"wall_s"`
	CPU   float64  `json:"cpu_s"`               // user and system, of dispatch and of the hook tools that it waited for
	Own   float64  `json:"own_cpu_s,omitempty"` // of dispatch alone; only with tools
	RSS   float64  `json:"rss_mib,omitempty"`   // the most that dispatch alone had resident; only with tools
	Tools []string `json:"tools"`               // hook tool processes by name, in order; only with tools
}
