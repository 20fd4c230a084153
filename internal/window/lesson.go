package window

import (
	"math"
	"time"
)

// Lesson is what a refused call taught about a limit that others use as well. Until more is known, Limit is the number
// of calls in a minute. It grows by 2^n - 1 after n Intervals: slowly where the limit is likely to be, then fast,
// because the others may be gone.
type Lesson struct {
	Limit    int // 0: nothing was learned
	Interval time.Duration
}

const (
	shortestInterval = time.Second
	longestInterval  = time.Minute

	// forgotten is the age of a lesson that the next one does not depend on.
	forgotten = 10 * time.Minute

	// precise is by how much more calls the service may admit if the lesson was right.
	precise = 4
)

// limit returns the number of calls that may go out in a minute, at most most.
func (s *State) limit(most int) int { return s.limitAt(s.LessonAge, most) }

func (s *State) limitAt(age time.Duration, most int) int {
	if s.Lesson.Limit == 0 {
		return most
	}
	grown := math.Exp2(float64(max(0, age))/float64(s.Lesson.Interval)) - 1
	return min(most, s.Lesson.Limit+int(min(grown, float64(most))))
}

// growsIn returns the time until limit returns more than this.
func (s *State) growsIn(limit int) time.Duration {
	intervals := math.Log2(float64(limit - s.Lesson.Limit + 2))
	return max(time.Millisecond, time.Duration(intervals*float64(s.Lesson.Interval))-s.LessonAge)
}

// learn returns the lesson of a call that was refused in this state, and how long to wait before the next one.
//
// What the window held besides was all that the service allowed, so that is the limit. If the call was sent before the
// last lesson, it only corrects that. If that lesson was about right, the limit grows more slowly from now on.
func (s *State) learn(most int, sent time.Duration) (Lesson, time.Duration) {
	held := s.InFlight + len(s.Returns) - s.Refused
	lesson := Lesson{Limit: min(max(held, 1), most), Interval: shortestInterval}
	if held == 0 { // nothing is known about the pace: someone has used up the minute before
		lesson.Limit = most
	}
	if s.Lesson.Limit == 0 || s.LessonAge-sent > forgotten {
		lesson.Limit = max(lesson.Limit, most/2) // a single refusal is weak evidence
		return lesson, 0
	}
	if sent > s.LessonAge {
		return Lesson{min(lesson.Limit, s.Lesson.Limit), s.Lesson.Interval}, 0
	}
	if held <= s.Lesson.Limit+precise {
		lesson.Interval = min(2*s.Lesson.Interval, longestInterval)
	}
	if held > 0 {
		lesson.Limit = max(1, min(lesson.Limit, s.limitAt(s.LessonAge-sent, most)-1))
	}
	if s.Before == 0 { // the first call after the pause was refused too
		return lesson, lesson.Interval
	}
	return lesson, 0
}
