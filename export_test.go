package drift

// Route is a line of the table of routes.
type Route struct{ Name, Method, Path string }

// Routes returns the table of routes in its order.
func Routes() []Route {
	table := make([]Route, len(routes))
	for op, r := range routes {
		table[op] = Route{r.name, r.method, r.path}
	}
	return table
}

// Fill gives an Optional a value that fill puts into place, so that reflection can make one.
func (o *Optional[T]) Fill(fill func(value any)) {
	o.state = optionalSet
	fill(&o.value)
}

// FillNull makes an Optional null.
func (o *Optional[T]) FillNull() { *o = Null[T]() }
