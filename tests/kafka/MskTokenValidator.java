import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerTokenCallback;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * Does what MSK does with an IAM token: it is a presigned URL for kafka-cluster:Connect, and its signature must be that of the access key's
 * secret. The secrets are in a file (access key id = secret), read anew for each token; option keys of the JAAS entry names it.
 */
public class MskTokenValidator implements AuthenticateCallbackHandler {
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
    private Path keys;

    @Override
    public void configure(Map<String, ?> configuration, String mechanism, List<AppConfigurationEntry> entries) {
        keys = Path.of((String) entries.get(0).getOptions().get("keys"));
    }

    @Override
    public void close() {}

    @Override
    public void handle(Callback[] callbacks) {
        for (Callback callback : callbacks) {
            if (callback instanceof OAuthBearerValidatorCallback validation) {
                try {
                    validation.token(validate(validation.tokenValue()));
                } catch (Exception error) {
                    validation.error("invalid_token: " + error.getMessage(), null, null);
                }
            }
            // The broker itself needs no token: OAuthBearerTokenCallback is left empty.
        }
    }

    private OAuthBearerToken validate(String token) throws Exception {
        URI url = new URI(new String(Base64.getUrlDecoder().decode(token), StandardCharsets.UTF_8));
        Map<String, String> query = new TreeMap<>();
        for (String part : url.getRawQuery().split("&")) {
            String[] pair = part.split("=", 2);
            query.put(pair[0], URLDecoder.decode(pair[1], StandardCharsets.UTF_8));
        }
        String[] scope = query.get("X-Amz-Credential").split("/");
        check(query.get("Action").equals("kafka-cluster:Connect"), "action");
        check(scope.length == 5 && scope[3].equals("kafka-cluster") && scope[4].equals("aws4_request"), "credential scope");
        check(url.getHost().equals("kafka." + scope[2] + ".amazonaws.com"), "host");
        check(query.get("X-Amz-SignedHeaders").equals("host"), "signed headers");
        check(query.containsKey("User-Agent") && !token.contains("="), "form");
        Instant start = Instant.from(TIME.parse(query.get("X-Amz-Date")));
        Instant end = start.plusSeconds(Long.parseLong(query.get("X-Amz-Expires")));
        check(!end.isAfter(start.plusSeconds(900)), "lifetime");
        check(Instant.now().isBefore(end), "the token has expired");
        Properties secrets = new Properties();
        try (var reader = Files.newBufferedReader(keys)) {
            secrets.load(reader);
        }
        String secret = secrets.getProperty(scope[0]);
        check(secret != null, "unknown access key");
        // For the test that compares it with what Amazon's own library makes.
        Files.writeString(keys.resolveSibling("last-token"), token);
        check(sign(url, query, scope, secret).equals(query.get("X-Amz-Signature")), "signature");
        return new OAuthBearerToken() {
            public String value() { return token; }
            public Set<String> scope() { return Set.of(); }
            public long lifetimeMs() { return end.toEpochMilli(); }
            public String principalName() { return scope[0]; }
            public Long startTimeMs() { return start.toEpochMilli(); }
        };
    }

    private static String sign(URI url, Map<String, String> query, String[] scope, String secret) throws Exception {
        StringBuilder canonical = new StringBuilder();
        for (Map.Entry<String, String> parameter : query.entrySet()) {
            // The agent is added after signing.
            if (Set.of("X-Amz-Signature", "User-Agent").contains(parameter.getKey())) continue;
            canonical.append(canonical.isEmpty() ? "" : "&").append(encode(parameter.getKey())).append('=').append(encode(parameter.getValue()));
        }
        String request = "GET\n/\n" + canonical + "\nhost:" + url.getHost() + "\n\nhost\n" + hash("");
        String day = String.join("/", scope[1], scope[2], scope[3], scope[4]);
        String toSign = "AWS4-HMAC-SHA256\n" + query.get("X-Amz-Date") + "\n" + day + "\n" + hash(request);
        byte[] key = ("AWS4" + secret).getBytes(StandardCharsets.UTF_8);
        for (String part : new String[] {scope[1], scope[2], scope[3], scope[4], toSign}) {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            key = mac.doFinal(part.getBytes(StandardCharsets.UTF_8));
        }
        return HexFormat.of().formatHex(key);
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20").replace("*", "%2A").replace("%7E", "~");
    }

    private static String hash(String text) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    private static void check(boolean holds, String what) {
        if (!holds) throw new IllegalArgumentException(what);
    }
}
