from standin import serve

serve("sandbox")
