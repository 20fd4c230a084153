package conformance

import "net/http"

// Transport passes requests on and reports all that departs from the contract.
type Transport struct {
	Contract *Contract
	Base     http.RoundTripper
	Report   func(error)
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	request, err := t.Contract.CheckRequest(r)
	t.report(err)
	response, err := t.Base.RoundTrip(r)
	if err != nil || request == nil {
		return response, err
	}
	t.report(t.Contract.CheckResponse(request, response))
	return response, nil
}

func (t *Transport) report(err error) {
	if err != nil {
		t.Report(err)
	}
}
