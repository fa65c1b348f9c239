package httpapi

import "time"

// SetIdle sets how long a client may take nothing of a long answer.
func (o *Operator) SetIdle(d time.Duration) { o.idle = d }
