%% @doc Where the node listens: a socket in a directory that only its user can enter.
-module(py_endpoint).

-export([create/1, abandon/1, remove/1, listen/1]).
-export_type([endpoint/0]).

-opaque endpoint() :: {private, Path :: string()} | {given, Path :: string()}.
%% A private one lies in a directory of our own, which goes with it.

%% sun_path, less the final zero.
-define(LONGEST, 107).
-define(BACKLOG, 1024).

%% @doc Chooses the place. With a path given, its directory is the user's business.
-spec create(undefined | string()) -> {ok, endpoint(), Path :: string()} | {error, {bad_setting, socket, binary()}}.
create(undefined) ->
    Base = first([os:getenv("XDG_RUNTIME_DIR"), os:getenv("TMPDIR"), "/tmp"]),
    Random = string:lowercase(integer_to_list(rand:uniform(1 bsl 32), 36)),
    Directory = filename:join(Base, "erlpy-" ++ os:getpid() ++ "-" ++ Random),
    Path = filename:join(Directory, "s"),
    case fits(Path) andalso private(Directory) of
        true -> {ok, {private, Path}, Path};
        false -> too_long(Path);
        {error, Reason} -> bad(io_lib:format("cannot make ~ts: ~ts", [Directory, file:format_error(Reason)]))
    end;
create(Path) ->
    case fits(Path) of
        true -> {ok, {given, Path}, Path};
        false -> too_long(Path)
    end.

%% @doc Removes what {@link create/1} made, when nothing came to listen there. A socket at a given path is then somebody else's.
-spec abandon(endpoint()) -> ok.
abandon({given, _Path}) -> ok;
abandon({private, _Path} = Endpoint) -> remove(Endpoint).

%% @doc Removes what {@link create/1} and {@link listen/1} left.
-spec remove(endpoint()) -> ok.
remove({given, Path}) ->
    _ = file:delete(Path),
    ok;
remove({private, Path}) ->
    _ = file:delete(Path),
    _ = file:del_dir(filename:dirname(Path)),
    ok.

%% @doc A listening socket of the calling process. A socket file that nobody listens on any more is replaced.
-spec listen(string()) -> {ok, socket:socket()} | {error, {listen, string(), atom()}}.
listen(Path) ->
    {ok, Socket} = socket:open(local, stream),
    Address = #{family => local, path => Path},
    Steps = [
        fun() -> vacate(Path, Address) end,
        fun() -> socket:bind(Socket, Address) end,
        fun() -> file:change_mode(Path, 8#600) end,
        fun() -> socket:listen(Socket, ?BACKLOG) end
    ],
    case until_error(Steps) of
        ok ->
            {ok, Socket};
        {error, Reason} ->
            _ = socket:close(Socket),
            {error, {listen, Path, Reason}}
    end.

-spec vacate(string(), socket:sockaddr_un()) -> ok | {error, atom()}.
vacate(Path, Address) ->
    {ok, Probe} = socket:open(local, stream),
    Result =
        case socket:connect(Probe, Address) of
            ok -> {error, eaddrinuse};
            {error, econnrefused} -> file:delete(Path);
            {error, enoent} -> ok;
            {error, Reason} -> {error, Reason}
        end,
    _ = socket:close(Probe),
    Result.

-spec until_error([fun(() -> ok | {ok, term()} | {error, atom()})]) -> ok | {error, atom()}.
until_error([]) ->
    ok;
until_error([Step | Steps]) ->
    case Step() of
        {error, Reason} -> {error, Reason};
        _ -> until_error(Steps)
    end.

-spec private(string()) -> true | {error, file:posix()}.
private(Directory) ->
    %% The name is new, so a directory that stands there already is somebody else's, and refused.
    case file:make_dir(Directory) of
        ok ->
            case file:change_mode(Directory, 8#700) of
                ok -> true;
                {error, Reason} -> {error, Reason}
            end;
        {error, Reason} ->
            {error, Reason}
    end.

-spec first([string() | false]) -> string().
first([false | Rest]) -> first(Rest);
first(["" | Rest]) -> first(Rest);
first([Path | _]) -> Path.

-spec fits(string()) -> boolean().
fits(Path) ->
    byte_size(unicode:characters_to_binary(Path)) =< ?LONGEST.

-spec too_long(string()) -> {error, {bad_setting, socket, binary()}}.
too_long(Path) ->
    bad(io_lib:format("a socket's path may have ~b bytes, this one is longer: ~ts (setting socket)", [?LONGEST, Path])).

-spec bad(io_lib:chars()) -> {error, {bad_setting, socket, binary()}}.
bad(Text) ->
    {error, {bad_setting, socket, unicode:characters_to_binary(Text)}}.
