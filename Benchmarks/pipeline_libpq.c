// What libpq does without a sidecar: connections in pipeline mode, one batch in flight on each, one Sync a batch, each batch in a
// read-only transaction that is rolled back. One thread, no clients, no sockets but the server's: the ceiling for shared pipelines.
//
// pipeline_libpq CONNINFO SECONDS ROWS CONNECTIONS BATCH
// Prints {"requests_per_second", "requests", "errors"}; a second of warm-up comes before.

#if __has_include(<postgresql/libpq-fe.h>)
#include <postgresql/libpq-fe.h>
#else
#include <libpq-fe.h>
#endif
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECTIONS_MAX = 16, BATCH_MAX = 1024, WAIT_MILLISECONDS = 10000 };

static const char *const QUERY = "select value from bench_rows where id = $1";
static PGconn *connections[CONNECTIONS_MAX];
static uint64_t state = 88172645463325252u;
static uint64_t answered, errors;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t below(uint64_t bound) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint64_t)(((unsigned __int128)(state * 2685821657736338717u) * bound) >> 64);
}

static void fail(PGconn *connection, const char *what) {
    fprintf(stderr, "%s: %s\n", what, connection ? PQerrorMessage(connection) : "");
    exit(1);
}

static void prepare(PGconn *connection, const char *name, const char *sql) {
    PGresult *result = PQprepare(connection, name, sql, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) fail(connection, "prepare");
    PQclear(result);
}

static PGconn *connect_to(const char *conninfo) {
    PGconn *connection = PQconnectdb(conninfo);
    if (PQstatus(connection) != CONNECTION_OK) fail(connection, "connect");
    prepare(connection, "begin", "begin isolation level read committed, read only");
    prepare(connection, "query", QUERY);
    prepare(connection, "end", "rollback");
    if (PQsetnonblocking(connection, 1) != 0 || !PQenterPipelineMode(connection)) fail(connection, "pipeline mode");
    return connection;
}

static void send_batch(PGconn *connection, uint64_t rows, int batch) {
    int ok = PQsendQueryPrepared(connection, "begin", 0, NULL, NULL, NULL, 0);
    for (int i = 0; i < batch && ok; i++) {
        char text[24];
        const char *value = text;
        snprintf(text, sizeof text, "%llu", (unsigned long long)below(rows));
        ok = PQsendQueryPrepared(connection, "query", 1, &value, NULL, NULL, 0);
    }
    ok = ok && PQsendQueryPrepared(connection, "end", 0, NULL, NULL, NULL, 0);
    // Flushes as well.
    if (!ok || !PQpipelineSync(connection)) fail(connection, "send");
}

// Takes what is there; whether the batch has ended.
static int receive(PGconn *connection) {
    if (!PQconsumeInput(connection)) fail(connection, "receive");
    while (!PQisBusy(connection)) {
        PGresult *result = PQgetResult(connection);
        if (result == NULL) continue;
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK && PQntuples(result) == 1) answered++;
        else if (status != PGRES_COMMAND_OK && status != PGRES_PIPELINE_SYNC) errors++;
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC) return 1;
    }
    return 0;
}

int main(int count, char **arguments) {
    if (count != 6) {
        fprintf(stderr, "usage: pipeline_libpq CONNINFO SECONDS ROWS CONNECTIONS BATCH\n");
        return 2;
    }
    double seconds = atof(arguments[2]);
    uint64_t rows = strtoull(arguments[3], NULL, 10);
    int width = atoi(arguments[4]), batch = atoi(arguments[5]);
    if (seconds <= 0 || rows < 1 || width < 1 || width > CONNECTIONS_MAX || batch < 1 || batch > BATCH_MAX) {
        fprintf(stderr, "a number is out of range\n");
        return 2;
    }
    struct pollfd entries[CONNECTIONS_MAX];
    for (int i = 0; i < width; i++) {
        connections[i] = connect_to(arguments[1]);
        entries[i] = (struct pollfd){.fd = PQsocket(connections[i])};
        send_batch(connections[i], rows, batch);
    }
    uint64_t begin = now() + 1000000000u, end = begin + (uint64_t)(seconds * 1e9), before = 0, measured_from = 0;
    for (;;) {
        uint64_t time = now();
        if (measured_from == 0 && time >= begin) {
            measured_from = time;
            before = answered;
        }
        if (time >= end) {
            double taken = (double)(time - measured_from) / 1e9;
            printf("{\"requests_per_second\": %.1f, \"requests\": %llu, \"errors\": %llu}\n",
                   (double)(answered - before) / taken, (unsigned long long)(answered - before), (unsigned long long)errors);
            return 0;
        }
        for (int i = 0; i < width; i++) {
            int left = PQflush(connections[i]);
            if (left < 0) fail(connections[i], "flush");
            entries[i].events = left ? POLLIN | POLLOUT : POLLIN;
        }
        if (poll(entries, (nfds_t)width, WAIT_MILLISECONDS) <= 0) fail(NULL, "the server does not answer");
        for (int i = 0; i < width; i++)
            if (entries[i].revents & (POLLIN | POLLHUP | POLLERR) && receive(connections[i]))
                send_batch(connections[i], rows, batch);
    }
}
