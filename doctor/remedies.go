package doctor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
)

const minIO = "MinIO"

func checkName(known facts) string {
	return fmt.Sprintf("the name %s is not known here: correct sites[].endpoint of %s, or try: getent hosts %s",
		host(known), known.site.Name, host(known))
}

func checkNetwork(known facts) string {
	return fmt.Sprintf("start the store, or let this machine reach it: curl -sv -o /dev/null %s", base(known))
}

func nameAuthority(known facts) string {
	if known.site.CAFile {
		return fmt.Sprintf("sites[].ca_file of %s does not hold the authority that signed the store's certificate. See it with: "+
			"openssl s_client -showcerts -connect %s </dev/null", known.site.Name, authority(known))
	}
	return fmt.Sprintf("save the authority's certificate and name it as ca_file of site %s. Where the certificate is the "+
		"store's own:\nopenssl s_client -showcerts -connect %s </dev/null 2>/dev/null | openssl x509 > %s-ca.pem",
		known.site.Name, authority(known), known.site.Name)
}

func renewCertificate(known facts) string { return "renew the certificate of " + host(known) }

func matchName(known facts) string {
	return "use a name in sites[].endpoint that the certificate is for, or have a certificate made for " + host(known)
}

func checkScheme(known facts) string {
	return fmt.Sprintf("check the scheme (http or https) and the port of sites[].endpoint of %s: %s", known.site.Name, base(known))
}

func encrypt(known facts) string {
	return "serve the store over https, and write so in sites[].endpoint of " + known.site.Name
}

func correctKeys(known facts) string {
	return fmt.Sprintf("correct sites[].credentials of %s, or the environment variables that they name", known.site.Name)
}

func renewKeys(known facts) string {
	return fmt.Sprintf("renew the credentials of %s (for a profile that signs on by SSO: aws sso login)", known.site.Name)
}

func setClocks(facts) string {
	return "set the clocks of this machine and of the stores by NTP (timedatectl set-ntp true), or raise replication.max_clock_skew"
}

func correctRegion(known facts) string {
	if known.site.Endpoint != "" {
		return fmt.Sprintf("write the region that the store names above as sites[].region of %s", known.site.Name)
	}
	return fmt.Sprintf("ask for the bucket's region, and write it as sites[].region of %s:\naws s3api get-bucket-location "+
		"--bucket %s", known.site.Name, known.site.Bucket)
}

func createBucket(known facts) string {
	where := ""
	if known.site.Endpoint == "" && known.site.Region != "us-east-1" {
		where = " --create-bucket-configuration LocationConstraint=" + known.site.Region
	}
	return "correct sites[].bucket, or create the bucket:\n" + awsCommand(known, "create-bucket", where) + "\n" +
		enableVersions(known)
}

func switchOnVersioning(known facts) string {
	if known.can.Versioned {
		return "" // that is all that can be done
	}
	return enableVersions(known)
}

func enableVersions(known facts) string {
	return awsCommand(known, "put-bucket-versioning", " --versioning-configuration Status=Enabled")
}

// awsCommand returns a call of the AWS command line for the site's bucket. Keys come from its own configuration.
func awsCommand(known facts, operation, arguments string) string {
	command := "aws s3api " + operation + " --bucket " + known.site.Bucket + arguments
	if known.site.Region != "" {
		command += " --region " + known.site.Region
	}
	if known.site.Endpoint != "" {
		command += " --endpoint-url " + known.site.Endpoint
	}
	return command
}

func raiseLargeObject(facts) string {
	return "raise replication.large_object above the largest object of this site, up to 5GB"
}

func tryAgain(known facts) string {
	return fmt.Sprintf("run the doctor again: s3mesh doctor -c mesh.yaml --site %s", known.site.Name)
}

func removeScratch(known facts) string {
	list := awsCommand(known, "list-object-versions", " --prefix .s3mesh/probe/")
	remove := awsCommand(known, "delete-object", " --key KEY --version-id VERSION")
	return "remove them by hand:\n" + list + "\n" + remove
}

// policy is an IAM policy, which MinIO takes too.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource []string
}

// policyFor returns the policy for s3mesh's credentials at a site, as JSON: what it needs there, and no more.
func policyFor(known facts) string {
	bucket := "arn:" + partition(known.site.Region) + ":s3:::" + known.site.Bucket
	look := statement{"S3meshBucket", "Allow",
		[]string{"s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning"}, []string{bucket}}
	objects := statement{"S3meshObjects", "Allow",
		[]string{"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging"}, []string{bucket + "/*"}}
	p := policy{Version: "2012-10-17"}
	if !known.site.Served {
		p.Statement = []statement{look, objects}
		return indented(p)
	}
	look.Action = append(look.Action, "s3:ListBucketMultipartUploads")
	objects.Action = append(objects.Action, "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
	remove := statement{"S3meshOwnObjects", "Allow", []string{"s3:DeleteObject", "s3:DeleteObjectVersion"},
		[]string{bucket + "/.s3mesh/*"}}
	if known.cfg.PropagateDeletes {
		remove.Sid, remove.Resource = "S3meshDeletes", []string{bucket + "/*"}
	}
	p.Statement = []statement{look, objects, remove}
	return indented(p)
}

// indented writes a policy with a line for each statement.
func indented(p policy) string {
	lines := make([]string, len(p.Statement))
	for i, s := range p.Statement {
		data, err := json.Marshal(s)
		if err != nil {
			return err.Error() // it is made of strings alone
		}
		lines[i] = "  " + string(data)
	}
	return fmt.Sprintf("{\"Version\": %q, \"Statement\": [\n%s\n]}", p.Version, strings.Join(lines, ",\n"))
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}

// grant tells how to give the site's credentials what they need.
func grant(known facts) string {
	name := "s3mesh-" + known.site.Name
	file := name + ".json"
	how := "aws iam put-user-policy --user-name S3MESH_USER --policy-name " + name + " --policy-document file://" + file
	switch {
	case known.product == minIO:
		how = fmt.Sprintf("mc admin policy create %[1]s %[2]s %[3]s\nmc admin policy attach %[1]s %[2]s --user S3MESH_ACCESS_KEY",
			known.site.Name, name, file)
	case known.site.Endpoint != "" && !strings.Contains(known.site.Endpoint, "amazonaws.com"):
		how = "give the site's credentials this policy, in the way of this store"
	}
	return "save this as " + file + ":\n" + policyFor(known) + "\n" + how
}

// wireUp tells how to have a store send its notifications.
func wireUp(known facts) string {
	if isLoopback(known.site.Intake) && !isLoopback(base(known)) {
		return "intake.listen is this machine alone, where the store cannot send to: write listen: :9481 and tls under intake, " +
			"then:\n" + commands(known)
	}
	return commands(known)
}

func isLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// commands returns those that have the site's store send notifications.
func commands(known facts) string {
	intake := cmp.Or(known.site.Intake, "http://S3MESH_HOST:9481/v1/events/"+known.site.Name)
	events := "put"
	if known.cfg.PropagateDeletes {
		events = "put,delete"
	}
	switch {
	case known.product == minIO:
		id := "S3MESH_" + strings.ToUpper(strings.ReplaceAll(known.site.Name, "-", "_"))
		return fmt.Sprintf("# where mc does not know the alias yet: mc alias set %[1]s "+base(known)+"\n"+
			`mc admin config set %[1]s notify_webhook:%[2]s endpoint="%[3]s" auth_token="$S3MESH_INTAKE_TOKEN" `+
			"queue_dir=/var/lib/minio/events\nmc admin service restart %[1]s\n"+
			"mc event add %[1]s/%[4]s arn:minio:sqs::%[2]s:webhook --event %[5]s",
			known.site.Name, id, intake, known.site.Bucket, events)
	case known.site.Endpoint == "" || strings.Contains(known.site.Endpoint, "amazonaws.com"):
		return wireUpAWS(known, intake)
	default:
		return fmt.Sprintf("have the store POST the bucket's notifications to %s with the header \"Authorization: Bearer "+
			"$S3MESH_INTAKE_TOKEN\"; where it sends none, write poll: 1m for site %s", intake, known.site.Name)
	}
}

func wireUpAWS(known facts, intake string) string {
	topic := fmt.Sprintf("arn:%s:sns:%s:$ACCOUNT:s3mesh-%s", partition(known.site.Region), known.site.Region, known.site.Name)
	events := `"s3:ObjectCreated:*"`
	if known.cfg.PropagateDeletes {
		events += `,"s3:ObjectRemoved:*"`
	}
	_, address, _ := strings.Cut(intake, "://")
	target := "https://s3mesh:$S3MESH_INTAKE_TOKEN@" + address // SNS takes the token only in the URL
	return fmt.Sprintf(`ACCOUNT=$(aws sts get-caller-identity --query Account --output text)
aws sns create-topic --region %[1]s --name s3mesh-%[2]s
aws sns set-topic-attributes --region %[1]s --topic-arn "%[3]s" --attribute-name Policy `+
		`--attribute-value '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},`+
		`"Action":"sns:Publish","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:%[4]s:s3:::%[5]s"}}}]}'
aws sns subscribe --region %[1]s --topic-arn "%[3]s" --protocol https --notification-endpoint "%[6]s"
# Confirm the subscription by the URL that s3mesh logs when it comes.
# The next command replaces what the bucket notifies so far: aws s3api get-bucket-notification-configuration --bucket %[5]s
%[7]s`, known.site.Region, known.site.Name, topic, partition(known.site.Region), known.site.Bucket, target,
		awsCommand(known, "put-bucket-notification-configuration", fmt.Sprintf(` --notification-configuration `+
			`"{\"TopicConfigurations\":[{\"TopicArn\":\"%s\",\"Events\":[%s]}]}"`, topic, strings.ReplaceAll(events, `"`, `\"`))))
}

// base returns the URL that the site is reached by.
func base(known facts) string {
	return cmp.Or(known.site.Endpoint, "https://s3."+known.site.Region+".amazonaws.com")
}

// host returns the name in it.
func host(known facts) string {
	if u, err := url.Parse(base(known)); err == nil {
		return u.Hostname()
	}
	return base(known)
}

// authority returns the name and port in it.
func authority(known facts) string {
	u, err := url.Parse(base(known))
	if err != nil {
		return base(known)
	}
	return u.Hostname() + ":" + cmp.Or(u.Port(), "443")
}
