package drifttest

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

const reportsPerMinute = 60

// reportProperties are what reports know of a conversation.
const reportProperties = "conversationId createdAt endUserId firstAgentMessageAt firstCloseAt lastAgentId " +
	"numAgentMessages numBotMessages numEndUserMessages relatedPlaybookId status timeToAgentResponseMillis " +
	"timeToCloseMillis updatedAt"

// facts returns the properties of a conversation that it has, computed from its messages.
func (st *store) facts(conversation object) object {
	facts := pick(conversation, "conversationId=id createdAt=created_at updatedAt=updated_at status "+
		"endUserId=contact_id firstCloseAt=resolved_at relatedPlaybookId=related_playbook_id")
	var bots, agents, visitors int64
	for _, message := range st.messages.within("conversation_id", conversation.integer("id")) {
		writer, _ := message["author"].(map[string]any)
		switch {
		case writer["type"] == "contact":
			visitors++
		case writer["bot"] == true:
			bots++
		default:
			agents++
			if agents == 1 {
				facts["firstAgentMessageAt"] = message["created_at"]
			}
			facts["lastAgentId"] = number(writer["id"])
		}
	}
	facts["numBotMessages"], facts["numAgentMessages"], facts["numEndUserMessages"] = bots, agents, visitors
	for name, end := range map[string]string{
		"timeToCloseMillis": "firstCloseAt", "timeToAgentResponseMillis": "firstAgentMessageAt",
	} {
		if at, ok := facts[end].(int64); ok {
			facts[name] = at - facts.integer("createdAt")
		}
	}
	return facts
}

// reported returns the facts of the conversations that pass every filter.
func (st *store) reported(c *call, metrics []string) ([]object, error) {
	filters := c.params.objects("filters")
	for _, filter := range filters {
		metrics = append(slices.Clip(metrics), filter.text("property"))
		if values, _ := filter["values"].([]any); filter.text("operation") == "BETWEEN" && len(values) != 2 {
			return nil, invalid("filters", "BETWEEN needs two values")
		}
	}
	for _, name := range metrics {
		if !slices.Contains(strings.Fields(reportProperties), name) {
			return nil, invalid("property", "is unknown: "+name)
		}
	}
	var reported []object
	for _, conversation := range st.conversations.records {
		facts := st.facts(conversation)
		if !slices.ContainsFunc(filters, func(filter object) bool { return !passes(facts, filter) }) {
			reported = append(reported, facts)
		}
	}
	return reported, nil
}

func passes(facts, filter object) bool {
	have, known := facts[filter.text("property")]
	values, _ := filter["values"].([]any)
	switch filter.text("operation") {
	case "BETWEEN":
		at, ok := have.(int64)
		return ok && at >= reportNumber(values[0]) && at <= reportNumber(values[1])
	case "IN":
		return slices.ContainsFunc(values, func(value any) bool {
			text, isText := value.(string)
			fact, _ := have.(string)
			return known && (isText && strings.EqualFold(fact, text) || have == reportNumber(value))
		})
	}
	return known
}

// reportNumber reads a number, or a day as the instant at which it begins in UTC.
func reportNumber(value any) int64 {
	text, _ := value.(string)
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.UnixMilli()
	}
	if n := number(json.Number(text)); n != 0 {
		return n
	}
	return number(value)
}

// classicReport has the metrics in the order of the request, and "NaN" for one that a conversation does not have.
func (st *store) classicReport(c *call) (any, error) {
	names := c.params.texts("metrics")
	reported, err := st.reported(c, names)
	if err != nil {
		return nil, err
	}
	rows := []object{}
	for _, facts := range reported {
		metrics := []any{}
		for _, name := range names {
			if n, ok := facts[name].(int64); ok {
				metrics = append(metrics, n)
			} else {
				metrics = append(metrics, "NaN")
			}
		}
		rows = append(rows, object{"conversationId": facts["conversationId"], "metrics": metrics})
	}
	return bare{object{"count": len(rows), "data": rows}}, nil
}

// classicSummary has the averages in the order of the request. No source shows the service's answer; this is a guess.
func (st *store) classicSummary(c *call) (any, error) {
	metrics := c.params.objects("metrics")
	names := make([]string, len(metrics))
	for i, metric := range metrics {
		names[i] = metric.text("property")
	}
	reported, err := st.reported(c, names)
	if err != nil {
		return nil, err
	}
	averages := []object{}
	for i, name := range names {
		average := object{"type": metrics[i]["type"], "property": name, "value": "NaN"}
		sum, n := 0.0, 0
		for _, facts := range reported {
			if value, ok := facts[name].(int64); ok {
				sum += float64(value)
				n++
			}
		}
		if n > 0 {
			average["value"] = sum / float64(n)
		}
		averages = append(averages, average)
	}
	return bare{object{"count": len(reported), "data": averages}}, nil
}
