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
