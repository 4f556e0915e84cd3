package claim

// Become tries a change as the product makes it, and returns what it leaves.
func (v Verdict) Become(to Verdict) (Verdict, error) {
	err := v.become(to)
	return v, err
}
