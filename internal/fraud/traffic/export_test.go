package traffic

// Card names the card.
func (n *News) Card() uint64 { return n.serial }
