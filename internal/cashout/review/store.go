package review

import (
	"database/sql"
	"time"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/platform/storage"
)

var (
	listWaiting = storage.SQL("review.list_waiting", `SELECT o.order_id, r.reviewer, r.held_until, r.first_reviewer FROM cashout_orders o
		LEFT JOIN cashout_reviews r ON r.book_id = o.book_id AND r.order_id = o.order_id
		WHERE o.book_id = $1 AND o.status = 'processing' ORDER BY o.submitted_at, o.order_id LIMIT $2`)
	findReview = storage.SQL("review.find_review", `SELECT reviewer, held_until, first_reviewer FROM cashout_reviews WHERE book_id = $1 AND order_id = $2`)
	// claimReview changes nothing where somebody else has the order in hand.
	claimReview = storage.SQL("review.claim_review", `INSERT INTO cashout_reviews (book_id, order_id, reviewer, held_until, first_reviewer) VALUES ($1, $2, $3, $4, '')
		ON CONFLICT (book_id, order_id) DO UPDATE SET reviewer = excluded.reviewer, held_until = excluded.held_until
		WHERE cashout_reviews.first_reviewer <> excluded.reviewer
			AND (cashout_reviews.reviewer IN ('', excluded.reviewer) OR cashout_reviews.held_until <= $5)`)
	releaseReview = storage.SQL("review.release_review", `UPDATE cashout_reviews SET reviewer = '' WHERE book_id = $1 AND order_id = $2 AND reviewer = $3`)
	firstReview   = storage.SQL("review.first_review", `UPDATE cashout_reviews SET reviewer = '', first_reviewer = $3
		WHERE book_id = $1 AND order_id = $2 AND reviewer = $3 AND first_reviewer = ''`)
	// endReview is written with a decision, by whoever has the order in hand.
	endReview = storage.SQL("review.end_review", `UPDATE cashout_reviews SET reviewer = '', first_reviewer = ''
		WHERE book_id = $1 AND order_id = $2 AND reviewer = $3`)
)

var (
	hideImage = storage.SQL("review.hide_image", `INSERT INTO cashout_hidden (book_id, image_id, order_id, actor, hidden_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (book_id, image_id) DO NOTHING`)
	findHidden  = storage.SQL("review.find_hidden", `SELECT actor FROM cashout_hidden WHERE book_id = $1 AND image_id = $2`)
	unhideImage = storage.SQL("review.unhide_image", `DELETE FROM cashout_hidden WHERE book_id = $1 AND image_id = $2 AND actor = $3`)
)

// waiting is what is known of an order's review.
type waiting struct {
	order           cashout.ID
	reviewer, first string
	until           time.Time
}

func scanWaiting(r storage.Row) (w waiting, err error) {
	var reviewer, first sql.NullString
	var until sql.NullInt64
	err = r.Scan(&w.order, &reviewer, &until, &first)
	w.reviewer, w.first, w.until = reviewer.String, first.String, storage.NullTime(until)
	return w, err
}

func scanReview(r storage.Row) (w waiting, err error) {
	var until int64
	err = r.Scan(&w.reviewer, &until, &w.first)
	w.until = storage.Time(until)
	return w, err
}
