package sense

import (
	"time"

	"github.com/scripcards/scrip/internal/fraud"
)

// Numbers that compare a role's last hour with what is usual for it.
const (
	surge    = iota // events of the last hour, as a multiple of a usual hour's
	rise            // share of misses of the last hour, less that of the last month
	perSurge        // how many there are
)

// Places among a role's fading numbers: see fadingNumbers, and a test.
const (
	eventsHour = 1
	eventsWeek = 3
	missHour   = 5
	missMonth  = 7
)

// hoursAWeek is how many usual hours a week's fading count has.
const hoursAWeek = 7 * 24

// surgeColumns are beside the fading ones.
func surgeColumns(fading []place) []Column {
	var all []Column
	for i := range roles {
		base := fading[i*perRole].column
		for _, name := range [perSurge]string{surge: "surge", rise: "miss_rise"} {
			c := base
			c.Name, c.Window = name, time.Hour
			if name == "miss_rise" && !c.Telling {
				c.Signal = told["misses"]
			}
			all = append(all, c)
		}
	}
	return all
}

// surges writes them from the fading numbers of a row.
func surges(row *Row) {
	for i := range roles {
		from := row[fraud.RowWidth+i*perRole:]
		to := row[fraud.RowWidth+len(roles)*perRole+i*perSurge:]
		to[surge] = from[eventsHour] / (from[eventsWeek]/hoursAWeek + 1)
		to[rise] = from[missHour] - from[missMonth]
	}
}
