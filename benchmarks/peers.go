package main

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/digitalocean/godo"
	"github.com/go-resty/resty/v2"
	"github.com/google/go-github/v88/github"
	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/slack-go/slack"
	"github.com/stripe/stripe-go/v85"
	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
	"golang.org/x/oauth2"
)

// peer is the client of another service, with the call that gets one object. Its answer has the shape that the service gives
// it, and as many bytes as ours. Peers are as they come, with telemetry and logs off.
type peer struct {
	name, module string
	body         string // %FILL% is where it is made as long as ours
	open         func(http.RoundTripper) (get func() error, err error)
	intoItsType  func(*byHand) error // by hand, into the type that the peer decodes
}

// measure compares the floor with the client, the peer, and the same by hand into the peer's type, which tells the shape of the
// object from what the peer adds.
func (p peer) measure(e effort) (comparison, error) {
	ours, theirs := newStub(answerOne()), newStub(mustBeJSON(p.answer()))
	hand := newByHand(stubURL, theirs)
	return compareUntil(ahead, e.tries, e.plan(200, callsOfSlice),
		getByHand(newByHand(stubURL, ours)), getWithClient(stubURL, ours),
		candidate{p.name, sync.OnceValues(func() (func() error, error) { return p.open(theirs) })},
		candidate{p.name + " by hand", always(func() error { return p.intoItsType(hand) })})
}

// The candidates of a comparison with a peer.
const (
	us = iota
	them
	theirType
)

// ahead reports whether the client took less time than the peer, beyond doubt.
func ahead(c comparison) bool { return c.ratio(c.others[us], c.others[them]).high < 1 }

// answer is the body, filled up to the length of ours.
func (p peer) answer() []byte {
	missing := len(answerOne()) - len(p.body) + len("%FILL%")
	return []byte(strings.Replace(p.body, "%FILL%", strings.Repeat("lorem ipsum ", 100)[:missing], 1))
}

// into decodes an answer by hand into a type.
func into[T any](path string) func(*byHand) error {
	return func(h *byHand) error { return h.get(context.Background(), path, new(T)) }
}

func peers() []peer {
	ctx := context.Background()
	return []peer{
		{
			name: "go-github", module: "github.com/google/go-github/v88",
			body: `{"id":1296269,"node_id":"MDEwOlJlcG9zaXRvcnkxMjk2MjY5","owner":{"login":"octocat","id":1,"node_id":"MDQ6VXNlcjE=",` +
				`"url":"https://api.github.test/users/octocat","type":"User","site_admin":false},"name":"hello","full_name":"octocat/hello",` +
				`"description":"%FILL%","default_branch":"main","created_at":"2011-01-26T19:01:12Z","pushed_at":"2011-01-26T19:06:43Z",` +
				`"updated_at":"2011-01-26T19:14:43Z","html_url":"https://github.test/octocat/hello","clone_url":"https://github.test/octocat/hello.git",` +
				`"language":"Go","fork":false,"forks_count":9,"open_issues_count":3,"stargazers_count":80,"watchers_count":80,"size":108,` +
				`"private":false,"archived":false,"disabled":false,"has_issues":true,"has_wiki":true,"topics":["octocat","atom","api"],` +
				`"license":{"key":"mit","name":"MIT License","spdx_id":"MIT"},"permissions":{"admin":false,"push":false,"pull":true},` +
				`"visibility":"public"}`,
			open: func(t http.RoundTripper) (func() error, error) {
				client, err := github.NewClient(github.WithHTTPClient(&http.Client{Transport: t}), github.WithAuthToken(token))
				return func() error {
					_, _, err := client.Repositories.Get(ctx, "octocat", "hello")
					return err
				}, err
			},
			intoItsType: into[github.Repository]("/repos/octocat/hello"),
		},
		{
			name: "godo", module: "github.com/digitalocean/godo",
			body: `{"droplet":{"id":3164444,"name":"web-1.example.com","memory":1024,"vcpus":1,"disk":25,"locked":false,"status":"active",` +
				`"created_at":"2020-07-21T18:37:44Z","features":["backups","private_networking","ipv6"],"backup_ids":[53893572],` +
				`"next_backup_window":{"start":"2020-07-30T00:00:00Z","end":"2020-07-30T23:00:00Z"},"snapshot_ids":[67512819],` +
				`"image":{"id":63663980,"name":"20.04 (LTS) x64","distribution":"Ubuntu","slug":"ubuntu-20-04-x64","public":true,` +
				`"regions":["ams2","nyc1"],"min_disk_size":15,"type":"base","description":"%FILL%"},"volume_ids":[],"size_slug":"s-1vcpu-1gb",` +
				`"size":{"slug":"s-1vcpu-1gb","memory":1024,"vcpus":1,"disk":25,"price_monthly":5,"price_hourly":0.00743,"available":true},` +
				`"networks":{"v4":[{"ip_address":"10.128.192.124","netmask":"255.255.0.0","gateway":"10.128.0.1","type":"private"}],"v6":[]},` +
				`"region":{"name":"New York 3","slug":"nyc3","features":["backups","ipv6"],"available":true},"tags":["web","env:prod"],` +
				`"vpc_uuid":"760e09ef-dc84-11e8-981e-3cfdfeaae000"}}`,
			open: func(t http.RoundTripper) (func() error, error) {
				through := context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: t})
				client := godo.NewClient(oauth2.NewClient(through, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})))
				return func() error {
					_, _, err := client.Droplets.Get(ctx, 3164444)
					return err
				}, nil
			},
			intoItsType: into[struct {
				Droplet *godo.Droplet `json:"droplet"`
			}]("/v2/droplets/3164444"),
		},
		{
			name: "hcloud-go", module: "github.com/hetznercloud/hcloud-go/v2",
			body: `{"server":{"id":42,"name":"web-1","status":"running","created":"2016-01-30T23:55:00Z","public_net":{"ipv4":{"id":1,` +
				`"ip":"192.0.2.4","blocked":false,"dns_ptr":"web-1.example.com"},"ipv6":{"id":2,"ip":"2001:db8::/64","blocked":false,"dns_ptr":[]},` +
				`"floating_ips":[478]},"private_net":[],"server_type":{"id":1,"name":"cx22","description":"CX22","cores":2,"memory":4,` +
				`"disk":40,"storage_type":"local","cpu_type":"shared","architecture":"x86"},"included_traffic":654321,"outgoing_traffic":123456,` +
				`"ingoing_traffic":123456,"backup_window":"22-02","rescue_enabled":false,"iso":null,"locked":false,"location":{"id":1,` +
				`"name":"fsn1","description":"Falkenstein","country":"DE","city":"Falkenstein","latitude":50.47612,"longitude":12.370071},` +
				`"image":{"id":4711,"type":"system","status":"available","name":"ubuntu-24.04","description":"%FILL%","os_flavor":"ubuntu",` +
				`"os_version":"24.04","created":"2016-01-30T23:55:00Z","disk_size":10},"protection":{"delete":false,"rebuild":false},` +
				`"labels":{"env":"prod","team":"web"},"volumes":[],"primary_disk_size":40,"load_balancers":[]}}`,
			open: func(t http.RoundTripper) (func() error, error) {
				client := hcloud.NewClient(hcloud.WithToken(token), hcloud.WithHTTPClient(&http.Client{Transport: t}))
				return func() error {
					_, _, err := client.Server.GetByID(ctx, 42)
					return err
				}, nil
			},
			intoItsType: into[schema.ServerGetResponse]("/v1/servers/42"),
		},
		{
			name: "stripe-go", module: "github.com/stripe/stripe-go/v85",
			body: `{"id":"cus_NffrFeUfNV2Hib","object":"customer","address":{"city":"Springfield","country":"US","line1":"1 Main Street",` +
				`"line2":null,"postal_code":"90210","state":"CA"},"balance":0,"created":1680893993,"currency":"usd","default_source":null,` +
				`"delinquent":false,"description":"%FILL%","email":"ann@example.com","invoice_prefix":"0759376C","invoice_settings":` +
				`{"custom_fields":null,"default_payment_method":null,"footer":null,"rendering_options":null},"livemode":false,` +
				`"metadata":{"order_id":"6735","plan":"professional","source":"landing page"},"name":"Ann Example","next_invoice_sequence":1,` +
				`"phone":"+15555550100","preferred_locales":["en"],"shipping":{"address":{"city":"Springfield","country":"US","line1":"1 Main Street",` +
				`"line2":null,"postal_code":"90210","state":"CA"},"name":"Ann Example","phone":null},"tax_exempt":"none","test_clock":null}`,
			open: func(t http.RoundTripper) (func() error, error) {
				backend := stripe.NewBackendsWithConfig(&stripe.BackendConfig{HTTPClient: &http.Client{Transport: t},
					EnableTelemetry: stripe.Bool(false), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}})
				client := stripe.NewClient(token, stripe.WithBackends(backend))
				return func() error {
					_, err := client.V1Customers.Retrieve(ctx, "cus_NffrFeUfNV2Hib", nil)
					return err
				}, nil
			},
			intoItsType: into[stripe.Customer]("/v1/customers/cus_NffrFeUfNV2Hib"),
		},
		{
			name: "openai-go, a model", module: "github.com/openai/openai-go/v3",
			body: `{"id":"gpt-example","object":"model","created":1686935002,"owned_by":"%FILL%"}`,
			open: func(t http.RoundTripper) (func() error, error) {
				client := openai.NewClient(option.WithAPIKey(token), option.WithHTTPClient(&http.Client{Transport: t}))
				return func() error {
					_, err := client.Models.Get(ctx, "gpt-example")
					return err
				}, nil
			},
			intoItsType: into[openai.Model]("/v1/models/gpt-example"),
		},
		{
			name: "openai-go, a completion", module: "github.com/openai/openai-go/v3",
			body: `{"id":"chatcmpl-AyPNinnUqUDYo9SAdA52NobMflmj2","object":"chat.completion","created":1738960610,"model":"gpt-example",` +
				`"choices":[{"index":0,"message":{"role":"assistant","content":"%FILL%","refusal":null,"annotations":[]},"logprobs":null,` +
				`"finish_reason":"stop"}],"usage":{"prompt_tokens":13,"completion_tokens":18,"total_tokens":31,"prompt_tokens_details":` +
				`{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,` +
				`"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"metadata":{"topic":"pricing"},"service_tier":"default",` +
				`"system_fingerprint":"fp_50cad350e4"}`,
			open: func(t http.RoundTripper) (func() error, error) {
				client := openai.NewClient(option.WithAPIKey(token), option.WithHTTPClient(&http.Client{Transport: t}))
				return func() error {
					_, err := client.Chat.Completions.Get(ctx, "chatcmpl-AyPNinnUqUDYo9SAdA52NobMflmj2")
					return err
				}, nil
			},
			intoItsType: into[openai.ChatCompletion]("/v1/chat/completions/chatcmpl-AyPNinnUqUDYo9SAdA52NobMflmj2"),
		},
		{
			name: "slack-go", module: "github.com/slack-go/slack",
			body: `{"ok":true,"channel":{"id":"C012AB3CD","name":"general","is_channel":true,"is_group":false,"is_im":false,"is_mpim":false,` +
				`"is_private":false,"created":1654868334,"is_archived":false,"is_general":true,"unlinked":0,"name_normalized":"general",` +
				`"is_shared":false,"is_org_shared":false,"is_pending_ext_shared":false,"pending_shared":[],"context_team_id":"T0123ABC456",` +
				`"creator":"U0123ABC456","is_ext_shared":false,"shared_team_ids":["T0123ABC456"],"is_member":true,"last_read":"1649869848.627809",` +
				`"locale":"en-US","num_members":40,"priority":0.5,"topic":{"value":"For public discussion of generalities",` +
				`"creator":"W012A3BCD","last_set":1449709364},"purpose":{"value":"%FILL%","creator":"W012A3BCD","last_set":1449709364},` +
				`"previous_names":["lobby","hall"]}}`,
			open: func(t http.RoundTripper) (func() error, error) {
				client := slack.New(token, slack.OptionHTTPClient(&http.Client{Transport: t}))
				return func() error {
					_, err := client.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: "C012AB3CD"})
					return err
				}, nil
			},
			intoItsType: into[struct {
				slack.SlackResponse
				Channel slack.Channel `json:"channel"`
			}]("/conversations.info?channel=C012AB3CD"),
		},
		{
			name: "gitlab client-go", module: "gitlab.com/gitlab-org/api/client-go/v2",
			body: `{"id":3,"description":"%FILL%","default_branch":"main","visibility":"private","ssh_url_to_repo":"git@gitlab.test:diaspora/site.git",` +
				`"http_url_to_repo":"https://gitlab.test/diaspora/site.git","web_url":"https://gitlab.test/diaspora/site","topics":["example","go"],` +
				`"owner":{"id":3,"name":"Diaspora","created_at":"2013-09-30T13:46:02Z"},"name":"Site","name_with_namespace":"Diaspora / Site",` +
				`"path":"site","path_with_namespace":"diaspora/site","open_issues_count":1,"jobs_enabled":true,"container_registry_enabled":false,` +
				`"created_at":"2013-09-30T13:46:02Z","last_activity_at":"2013-09-30T13:46:02Z","creator_id":3,"namespace":{"id":3,"name":"Diaspora",` +
				`"path":"diaspora","kind":"group","full_path":"diaspora"},"import_status":"none","archived":false,"forks_count":0,"star_count":0,` +
				`"public_jobs":true,"shared_with_groups":[],"merge_method":"merge","permissions":{"project_access":{"access_level":10,` +
				`"notification_level":3}}}`,
			open: func(t http.RoundTripper) (func() error, error) {
				client, err := gitlab.NewClient(token, gitlab.WithHTTPClient(&http.Client{Transport: t}))
				return func() error {
					_, _, err := client.Projects.GetProject(3, nil, gitlab.WithContext(ctx))
					return err
				}, err
			},
			intoItsType: into[gitlab.Project]("/api/v4/projects/3"),
		},
		{
			name: "resty", module: "github.com/go-resty/resty/v2",
			body: string(answerOne()),
			open: func(t http.RoundTripper) (func() error, error) {
				client := resty.NewWithClient(&http.Client{Transport: t}).SetAuthToken(token)
				return func() error {
					var answer struct {
						Data handConversation `json:"data"`
					}
					_, err := client.R().SetContext(ctx).SetPathParam("id", "4200017").SetResult(&answer).Get(stubURL + "/v2/conversations/{id}")
					return err
				}, nil
			},
			intoItsType: into[struct {
				Data handConversation `json:"data"`
			}]("/v2/conversations/4200017"),
		},
	}
}
