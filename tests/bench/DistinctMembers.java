import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;

/**
 * The peer of the projector: Kafka Streams counts persons hired, each once a year by the earliest hire, by district and
 * month, exactly once. Arguments: bootstrap servers, topic, how many persons, an id of its own, a folder, threads.
 */
public class DistinctMembers {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        long wanted = Long.parseLong(arguments[2]);
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[3]);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Integer.parseInt(arguments[5]));
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);

        StreamsBuilder builder = new StreamsBuilder();
        Map<String, Long> counts = new ConcurrentHashMap<>();
        CountDownLatch done = new CountDownLatch(1);
        builder.stream(arguments[1], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .flatMap((key, value) -> member(value))
            .groupByKey()
            .reduce((one, other) -> one.compareTo(other) <= 0 ? one : other)
            .groupBy((member, earliest) -> KeyValue.pair(cell(earliest), ""), Grouped.with(Serdes.String(), Serdes.String()))
            .count(Materialized.with(Serdes.String(), Serdes.Long()))
            .toStream()
            .foreach((cell, count) -> {
                counts.put(cell, count);
                if (counts.values().stream().mapToLong(Long::longValue).sum() >= wanted) {
                    done.countDown();
                }
            });
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.start();
        done.await();
        System.out.println("counted " + counts.values().stream().mapToLong(Long::longValue).sum() + " in " + counts.size());
        System.out.flush();
        streams.close(Duration.ofSeconds(20));
    }

    /** Whose hire it is in which year, and what decides which of several is the earliest, with its district. */
    private static Iterable<KeyValue<String, String>> member(byte[] value) {
        try {
            JsonNode fact = JSON.readTree(value);
            JsonNode hire = fact.path("data");
            if (!fact.path("type").asText().equals("skillplan.recruitment.person-hired.v1")
                || !hire.path("channel").asText().equals("gold-blue-collar")) {
                return java.util.List.of();
            }
            String day = hire.path("hired_on").asText();
            return java.util.List.of(KeyValue.pair(
                hire.path("person").path("token").asText() + "|" + day.substring(0, 4),
                String.join("|", day, fact.path("reportsource").asText(), fact.path("reportid").asText(),
                    fact.path("district").asText())));
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    /** The district and the month that a hire counts in. */
    private static String cell(String earliest) {
        return earliest.substring(earliest.lastIndexOf('|') + 1) + "|" + earliest.substring(0, 7);
    }
}
