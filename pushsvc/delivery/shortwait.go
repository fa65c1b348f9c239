package delivery

import "time"

// hasRoomForShortWait reports whether one more job may wait in memory until it
// is ready.
func (s *scheduler) hasRoomForShortWait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.shortWaits) < s.cfg.Concurrency
}

// addShortWait keeps a job in memory until it is ready. The caller holds s.mu.
func (s *scheduler) addShortWait(j *job) {
	s.shortWaits = append(s.shortWaits, j)
	if s.nextShortWait.IsZero() || j.ready.Before(s.nextShortWait) {
		s.nextShortWait = j.ready
	}
}

// endShortWaits puts the jobs that are ready back into their rows.
func (s *scheduler) endShortWaits(now time.Time) {
	all := s.shortWaits
	s.shortWaits, s.nextShortWait = nil, time.Time{}
	for _, j := range all {
		if j.ready.After(now) {
			s.addShortWait(j)
		} else {
			s.admit(j.run.message.lane, j, true, now)
		}
	}
}
