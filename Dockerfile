# One image for all workers; docker-compose.yml says which one a container runs.
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY scripts ./scripts
RUN npm ci --include=dev
COPY . .
RUN npm run build

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# The workers of the examples use development dependencies of the package (zod, nodemailer), so they are kept.
COPY --from=build --chown=node:node /app /app
USER node
CMD ["node", "dist/workflows/worker.js"]
