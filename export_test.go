package drift

// Fill gives an Optional a value that fill puts into place, so that reflection can make one.
func (o *Optional[T]) Fill(fill func(value any)) {
	o.state = optionalSet
	fill(&o.value)
}

// FillNull makes an Optional null.
func (o *Optional[T]) FillNull() { *o = Null[T]() }
