import com.google.common.util.concurrent.ListenableFuture;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordResult;

/**
 * Amazon's producer library at work: AggregatingProducer KINESIS_PORT STS_PORT. For each line "STREAM FIRST COUNT" on its input it writes records {"n":FIRST} .. and,
 * when all are acknowledged, a line "SHARD SEQUENCE_NUMBER KEY n" for each, and an empty one.
 */
public final class AggregatingProducer {
    public static void main(String[] arguments) throws Exception {
        long kinesis = Long.parseLong(arguments[0]);
        long sts = Long.parseLong(arguments[1]);
        KinesisProducerConfiguration configuration = new KinesisProducerConfiguration()
            .setCredentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test")))
            .setRegion("us-east-1").setVerifyCertificate(false).setMetricsLevel("none").setRecordMaxBufferedTime(200)
            .setKinesisEndpoint("127.0.0.1").setKinesisPort(kinesis).setStsEndpoint("127.0.0.1").setStsPort(sts)
            // A busy machine is slow, not broken.
            .setRecordTtl(600_000).setRequestTimeout(60_000).setConnectTimeout(30_000);
        KinesisProducer producer = new KinesisProducer(configuration);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            int first = Integer.parseInt(words[1]);
            List<ListenableFuture<UserRecordResult>> answers = new ArrayList<>();
            for (int n = first; n < first + Integer.parseInt(words[2]); n++) {
                ByteBuffer data = ByteBuffer.wrap(("{\"n\":" + n + "}").getBytes(StandardCharsets.UTF_8));
                answers.add(producer.addUserRecord(words[0], "key " + n % 7, data));
            }
            for (int i = 0; i < answers.size(); i++) {
                UserRecordResult answer = answers.get(i).get();
                int n = first + i;
                System.out.println(answer.getShardId() + " " + answer.getSequenceNumber() + " key " + n % 7 + " " + n);
            }
            System.out.println();
        }
        producer.destroy();
        // Its threads stay.
        System.exit(0);
    }
}
