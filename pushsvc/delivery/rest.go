package delivery

import "time"

// mayRest reports whether a run may keep one more of its recipients in memory
// for a short wait.
func (s *scheduler) mayRest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.resting) < s.cfg.Concurrency
}

func (s *scheduler) rest(j *job) {
	s.resting = append(s.resting, j)
	if s.rousing.IsZero() || j.ready.Before(s.rousing) {
		s.rousing = j.ready
	}
}

// rouse puts those back into their rows whose wait is over.
func (s *scheduler) rouse(now time.Time) {
	all := s.resting
	s.resting, s.rousing = nil, time.Time{}
	for _, j := range all {
		if j.ready.After(now) {
			s.rest(j)
		} else {
			s.admit(j.run.campaign.lane, j, true, now)
		}
	}
}
