%% @doc What the node asks of a host itself, over its control channel (PROTOCOL.md, section 4).
-module(py_control).

-export([start_context/3, drop/3, interrupt/4, answer/1, logging/3]).

%% @doc Has a new thread connect with the token. `{Tag, Outcome}' comes as a message, here as from
%% the others below.
-spec start_context(pid(), py_handshake:token(), Tag :: term()) -> ok.
start_context(Control, Token, Tag) ->
    tell(Control, {start_context, [Token]}, Tag).

%% @doc Forgets the namespace of a process.
-spec drop(pid(), pid(), Tag :: term()) -> ok.
drop(Control, Space, Tag) ->
    tell(Control, {drop, [Space]}, Tag).

%% @doc Interrupts the call of that level, and those within it, of the context of that token. {@link
%% answer/1} says whether there was one.
-spec interrupt(pid(), py_handshake:token(), Level :: pos_integer(), Tag :: term()) -> ok.
interrupt(Control, Token, Level, Tag) ->
    tell(Control, {interrupt, [Token, Level]}, Tag).

-spec answer(py_conversation:outcome()) -> hit | missed | failed.
answer({ok, Payload}) when is_binary(Payload) ->
    case py_term:decode(Payload, safe) of
        {ok, true} -> hit;
        {ok, false} -> missed;
        _ -> failed
    end;
answer(_Outcome) ->
    failed.

%% @doc Has the host's `logging' come here from that level on, in that format; waits until it does.
-spec logging(pid(), non_neg_integer(), none | binary()) -> py_conversation:outcome().
logging(Control, Level, Format) ->
    ask(Control, {logging, [Level, Format]}, 5000).

-spec tell(pid(), {atom(), [term()]}, term()) -> ok.
tell(Control, Call, Tag) ->
    py_handler:request(Control, {message, self(), Tag}, none, py_term:encode(Call)).

-spec ask(pid(), {atom(), [term()]}, timeout()) -> py_conversation:outcome().
ask(Control, Call, Timeout) ->
    %% An alias, so that an answer that comes too late is no message any more.
    Alias = monitor(process, Control, [{alias, reply_demonitor}]),
    ok = py_handler:request(Control, {message, Alias, Alias}, none, py_term:encode(Call)),
    receive
        {Alias, Outcome} -> Outcome;
        {'DOWN', Alias, process, _, Reason} -> {down, py_result:ended(Reason)}
    after Timeout ->
        demonitor(Alias, [flush]),
        receive {Alias, Outcome} -> Outcome after 0 -> timeout end
    end.
